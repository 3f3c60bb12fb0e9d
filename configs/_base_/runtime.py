# Everything that is the same for the detector and the keypoint model.
custom_imports = dict(imports=['pose_tools.openmmlab.plugins'], allow_failed_imports=True)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sample_seed=dict(type='SampleSeedHook'),
    throughput=dict(type='ThroughputHook'),
    interrupt=dict(type='StopOnInterruptHook'))
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
log_processor = dict(type='ProgressLogProcessor', window_size=50, by_epoch=True, num_digits=4)
log_level = 'INFO'
randomness = dict(seed=21)
load_from = None
resume = False
