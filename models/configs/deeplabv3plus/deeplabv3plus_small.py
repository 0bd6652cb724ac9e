"""DeepLabV3+, every layer of it at a quarter of the width, on small crops of generated street scenes.

It is run where it is named: `align verify` without a case runs the four models. On a map of 8×16 the dilations of 12,
24 and 36 reach past the edge: most of their weights see padding alone, as the field's would on a crop so small. What
the case sees is in docs/cases.md.
"""

_base_ = [
    "../_base_/models/deeplabv3plus_r50-d8.py",
    "../_base_/datasets/cityscapes_small.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_40k.py",
]
model = dict(
    data_preprocessor=dict(mean=[128.0] * 3, std=[64.0] * 3),
    backbone=dict(stem_channels=16, base_channels=16),
    decode_head=dict(in_channels=512, channels=128, c1_in_channels=64, c1_channels=12),
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
    summary="DeepLabV3+ on ResNet-50, every layer at a quarter of the width, 64×128 crops of generated street scenes",
)
