"""FCN, every layer of it at a quarter of the width, on small crops of generated street scenes.

It is run where it is named: `align verify` without a case runs the four models. UPerNet was tried in its place: its
last stage of 2×4 pixels is normalised over few numbers, and healthy runs at tf32 are 5 % apart in the gradient norm at
the first iteration. What the case sees is in docs/cases.md.
"""

_base_ = [
    "../_base_/models/fcn_r50-d8.py",
    "../_base_/datasets/cityscapes_small.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_40k.py",
]
model = dict(
    data_preprocessor=dict(mean=[128.0] * 3, std=[64.0] * 3),
    backbone=dict(stem_channels=16, base_channels=16),
    decode_head=dict(in_channels=512, channels=128),
    auxiliary_head=dict(in_channels=256, channels=64),
)
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(optimizer=dict(lr=0.001))
alignment = dict(
    iterations=30,
    repeats=8,
    tier="tf32",
    tiers=("fp32", "tf32"),
    reference="cpu",
    start=dict(last_norm=0.1),
    by_name=True,
    summary="FCN on ResNet-50, every layer at a quarter of the width, 64×128 crops of generated street scenes",
)
