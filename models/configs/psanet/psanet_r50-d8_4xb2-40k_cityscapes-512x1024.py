_base_ = [
    "../_base_/models/psanet_r50-d8.py",
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
    summary="PSANet on ResNet-50, the field's recipe: Cityscapes, 512×1024, 4 devices × 2 images, 40k iterations",
)
