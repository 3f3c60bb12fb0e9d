# RTMPose: the recipe without the data. A leaf chooses the size: model = _base_.sizes.s
_base_ = './runtime.py'
default_scope = 'mmpose'

max_epochs = 300
stage2_num_epochs = 30  # the last epochs train with milder augmentation
base_lr = 0.004
input_size = (256, 256)  # (w, h); change it with tools/train.py --input-size

# SimCC: x and y are classified apart, in bins of 1 / simcc_split_ratio crop px; sigma is in bins.
codec = dict(
    type='SimCCLabel',
    input_size=input_size,
    sigma=(12., 12.),
    simcc_split_ratio=2.0,
    normalize=False,
    use_dark=False)

_weights = 'https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/'
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        _scope_='mmdet',
        type='CSPNeXt',
        arch='P5',
        expand_ratio=0.5,
        out_indices=(4, ),
        channel_attention=True,
        norm_cfg=dict(type='BN'),  # becomes SyncBN on several GPUs
        act_cfg=dict(type='SiLU')),
    head=dict(
        type='RTMCCHead',
        input_size=input_size,
        in_featuremap_size=tuple(side // 32 for side in input_size),
        simcc_split_ratio=codec['simcc_split_ratio'],
        final_layer_kernel_size=7,
        gau_cfg=dict(
            hidden_dims=256,
            s=128,
            expansion_factor=2,
            dropout_rate=0.,
            drop_path=0.,
            act_fn='SiLU',
            use_rel_bias=False,
            pos_enc=False),
        loss=dict(type='KLDiscretLoss', use_target_weight=True, beta=10., label_softmax=True),
        decoder=codec),
    test_cfg=dict(flip_test=True))


def _size(deepen, widen, channels, weights):
    return dict(
        backbone=dict(deepen_factor=deepen, widen_factor=widen),
        head=dict(in_channels=channels),
        init_cfg=dict(type='Pretrained', checkpoint=_weights + weights))


sizes = dict(
    s=_size(0.33, 0.5, 512, 'rtmpose-s_simcc-aic-coco_pt-aic-coco_420e-256x192-fcb2599b_20230126.pth'),
    m=_size(0.67, 0.75, 768, 'rtmpose-m_simcc-aic-coco_pt-aic-coco_420e-256x192-63eb25f7_20230126.pth'),
    l=_size(1, 1, 1024, 'rtmpose-l_simcc-aic-coco_pt-aic-coco_420e-256x192-f016ffe0_20230126.pth'),
    x=_size(1.33, 1.25, 1280, 'rtmpose-x_simcc-body7_pt-body7_700e-384x288-71d7b7e9_20230629.pth'))

train_pipeline = [
    dict(type='SeedSample'),
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', scale_factor=[0.6, 1.4], rotate_factor=30),
    dict(type='TopdownAffine', input_size=input_size),
    dict(type='mmdet.YOLOXHSVRandomAug'),
    dict(type='RandomCropBlur', prob=0.2),
    dict(type='RandomCropDropout', prob=0.5),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
train_pipeline_stage2 = [
    dict(type='SeedSample'),
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_factor=0., scale_factor=[0.75, 1.25], rotate_factor=20),
    dict(type='TopdownAffine', input_size=input_size),
    dict(type='mmdet.YOLOXHSVRandomAug'),
    dict(type='RandomCropBlur', prob=0.2),
    dict(type='RandomCropDropout', prob=0.25),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=input_size),
    dict(type='PackPoseInputs'),
]
train_batch_size = 32
val_batch_size = 8

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=base_lr, weight_decay=0.),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, bypass_duplicate=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-5, by_epoch=False, begin=0, end=1000),
    dict(
        type='CosineAnnealingLR',
        eta_min=base_lr * 0.05,
        begin=max_epochs // 2,
        end=max_epochs,
        T_max=max_epochs // 2,
        by_epoch=True,
        convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=1024)

default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', interval=10, max_keep_ckpts=2, save_best='coco/AP', rule='greater'),
    visualization=dict(type='PoseVisualizationHook', enable=False))
custom_hooks = [
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0002, update_buffers=True, priority=49),
    dict(
        type='mmdet.PipelineSwitchHook',
        switch_epoch=max_epochs - stage2_num_epochs,
        switch_pipeline=train_pipeline_stage2),
]
visualizer = dict(type='PoseLocalVisualizer', vis_backends=_base_.vis_backends, name='visualizer')
del _weights
