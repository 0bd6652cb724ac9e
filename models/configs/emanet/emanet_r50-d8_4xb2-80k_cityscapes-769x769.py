_base_ = [
    "../_base_/models/emanet_r50-d8.py",
    "../_base_/datasets/cityscapes_769x769.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_80k.py",
]
model = dict(
    test_cfg=dict(mode="slide", crop_size=(769, 769), stride=(513, 513)),
    data_preprocessor=dict(size=(769, 769)),
    decode_head=dict(align_corners=True),
    auxiliary_head=dict(align_corners=True),
)
alignment = dict(
    iterations=50,
    repeats=8,
    tier="tf32",
    tiers=("fp32", "tf32"),
    reference="cuda",
    summary="EMANet on ResNet-50, 769×769 crops with corners aligned",
)
