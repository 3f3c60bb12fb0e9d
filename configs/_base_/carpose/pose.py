# The keypoint model on this keypoint set: joins the facts (meta.py) with the recipe (../rtmpose.py).
_base_ = ['../rtmpose.py', './meta.py']

model = dict(head=dict(out_channels=_base_.num_keypoints))
_data = dict(
    type='CocoDataset',
    data_root=_base_.data_root,
    data_mode='topdown',
    data_prefix=dict(img=_base_.image_dir),
    metainfo=_base_.dataset_info)
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
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(ann_file=_base_.val_ann_file, pipeline=_base_.test_pipeline, test_mode=True, **_data))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file=_base_.data_root + _base_.val_ann_file)
test_evaluator = val_evaluator
del _data
