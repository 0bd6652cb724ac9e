_base_ = [
    "../_base_/models/ann_r50-d8.py",
    "../_base_/datasets/cityscapes_small.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_40k.py",
]
model = dict(data_preprocessor=dict(mean=[128.0] * 3, std=[64.0] * 3))
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(optimizer=dict(lr=0.001))
alignment = dict(
    iterations=30,
    repeats=8,
    tier="tf32",
    tiers=("fp32", "tf32"),
    reference="cpu",
    start=dict(last_norm=0.1),
    summary="ANN on ResNet-50, whole architecture, 64×128 crops of generated street scenes",
)
