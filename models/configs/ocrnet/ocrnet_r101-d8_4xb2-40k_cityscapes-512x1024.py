_base_ = [
    "../_base_/models/ocrnet_r101-d8.py",
    "../_base_/datasets/cityscapes.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_40k.py",
]
model = dict(data_preprocessor=dict(size=(512, 1024)))
alignment = dict(
    iterations=50,
    repeats=8,
    tier="tf32",
    tiers=("fp32", "tf32"),
    reference="cuda",
    summary="OCRNet on ResNet-101, the field's recipe",
)
