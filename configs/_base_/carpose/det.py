# The detector on this keypoint set: joins the facts (meta.py) with the recipe (../rtmdet.py).
_base_ = ['../rtmdet.py', './meta.py']

model = dict(bbox_head=dict(num_classes=_base_.num_classes))
_data = dict(
    type='CocoDataset',
    data_root=_base_.data_root,
    data_prefix=dict(img=_base_.image_dir),
    metainfo=dict(classes=_base_.classes),
    filter_cfg=dict(filter_empty_gt=False))
train_dataloader = dict(
    batch_size=_base_.train_batch_size,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(ann_file=_base_.train_ann_file, pipeline=_base_.train_pipeline, **_data))
val_dataloader = dict(
    batch_size=_base_.val_batch_size,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(ann_file=_base_.val_ann_file, pipeline=_base_.test_pipeline, test_mode=True, **_data))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoMetric', ann_file=_base_.data_root + _base_.val_ann_file, metric='bbox', proposal_nums=(100, 1, 10))
test_evaluator = val_evaluator
del _data
