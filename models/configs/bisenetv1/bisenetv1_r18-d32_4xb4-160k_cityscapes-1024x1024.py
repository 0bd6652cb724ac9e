_base_ = [
    "../_base_/models/bisenetv1_r18-d32.py",
    "../_base_/datasets/cityscapes_1024x1024.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_160k.py",
]
model = dict(data_preprocessor=dict(size=(1024, 1024)))
optim_wrapper = dict(optimizer=dict(lr=0.025))
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.1, begin=0, end=1000),
    dict(type="PolyLR", eta_min=1e-4, power=0.9, begin=1000, end=160000, by_epoch=False),
]
alignment = dict(
    iterations=50,
    repeats=8,
    tier="tf32",
    tiers=("fp32", "tf32"),
    reference="cuda",
    summary="BiSeNetV1 on ResNet-18, the field's recipe: Cityscapes, 1024×1024, 4 devices × 4 images, 160k iterations",
)
