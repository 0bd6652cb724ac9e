"""OCRNet, the whole architecture, on small crops of generated street scenes.

HRNet amplifies rounding most: with `last_norm` at 0.1, 64×128 crops and a learning rate of 0.001 the floor is 2e-3 at
iteration 5, with 128×128 crops 2e-4, with convolutions that start three times as large (their gradients, behind batch
norms, are then a third) 1e-5, and with half the learning rate 2e-6. The loss goes from 3.86 to 2.99, the gradient norm
from 5.8 to at most 7.3.

fp32 noise floor of the loss, |log(run / plain run)|, the larger of two runs whose convolution and matmul operands were
scaled by s and 1/s (s = 1.37 and 1.71; torch 2.13, CPU, one thread):

    it 0     1     2     3     5     8     12    16    20    29
    6e-8  0     2e-7  3e-7  2e-6  2e-6  9e-6  2e-5  7e-5  1e-4
"""

_base_ = [
    "../_base_/models/ocrnet_hr18.py",
    "../_base_/datasets/cityscapes_small.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_40k.py",
]
model = dict(data_preprocessor=dict(mean=[128.0] * 3, std=[64.0] * 3))
crop_size = (128, 128)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.0005))
alignment = dict(
    iterations=30,
    repeats=8,
    tier="tf32",
    tiers=("fp32", "tf32"),
    reference="cpu",
    start=dict(last_norm=0.1, gain=3.0),
    summary="OCRNet on HRNet-W18, whole architecture, 128×128 crops of generated street scenes",
)
