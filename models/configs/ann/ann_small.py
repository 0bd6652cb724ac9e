"""ANN, the whole architecture, on small crops of generated street scenes.

The learning rate and `last_norm`, the weight at which the last norm of each residual branch starts, keep rounding from
growing: at 1 this case's floor is 2e-3 at iteration 5, at 0.5 8e-4, at 0.25 6e-6, at 0.1 4e-7, at 0 5e-7. The loss goes
from 4.14 to 3.55 (lowest 2.90, batch by batch), the gradient norm from 4.2 to at most 5.9.

fp32 noise floor of the loss, |log(run / plain run)|, the larger of two runs whose convolution and matmul operands were
scaled by s and 1/s (s = 1.37 and 1.71; torch 2.13, CPU, one thread):

    it 0     1     2     3     5     8     12    16    20    29
    0     1e-7  1e-7  2e-7  4e-7  2e-6  6e-6  1e-5  1e-5  1e-5
"""

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
