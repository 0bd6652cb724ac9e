"""What every case runs with, unless it says otherwise."""

default_scope = "models"
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend="nccl"))
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=4000),
    sampler_seed=dict(type="DistSamplerSeedHook"),
)
log_processor = dict(by_epoch=False)
log_level = "INFO"
load_from = None
resume = False
