"""Optimizer, schedule, loss, data and model, as data: faults of the blind set."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "foreach-last-slot-skipped",
        "the momentum of every 64th parameter never decays",
        "NVIDIA/TransformerEngine#3202: the last slot of a launch's table of tensors",
        "optimizer",
        severity=64.0,
        severity_means="tensors of a launch",
    ),
    Fault(
        "momentum-restarts",
        "every tenth step, momentum begins from nothing",
        "kozistr/pytorch_optimizer#516: a momentum buffer that is made anew",
        "optimizer",
        severity=10.0,
        severity_means="steps from one restart to the next",
        in_kernels=False,
    ),
    Fault(
        "momentum-carries-lr",
        "momentum keeps the learning rate that each gradient had at its time",
        "apache/mxnet#15533: momentum of steps instead of gradients",
        "optimizer",
        in_kernels=False,
    ),
    Fault(
        "momentum-of-another-layer",
        "one layer's momentum is replaced by another's of the same shape before each step",
        "an optimizer's state that is looked up by shape",
        "optimizer",
        in_kernels=False,
        layer="middle weight",
    ),
    Fault(
        "weight-decay-skips-norms",
        "norms and biases don't decay",
        "another framework's rule for vectors",
        "optimizer",
        in_kernels=False,
    ),
    Fault(
        "layer-updated-twice",
        "one layer's weight takes each step twice",
        "PaddlePaddle/PaddleClas#2747: a parameter that is in two groups",
        "optimizer",
        in_kernels=False,
        layer="middle weight",
    ),
    Fault(
        "schedule-stepped-twice",
        "the rate decays twice as fast",
        "huggingface/accelerate#2142: a scheduler that is stepped twice an iteration",
        "schedule",
        in_kernels=False,
    ),
    Fault(
        "loss-ignored-unwritten",
        "where a pixel is ignored, its loss is the last iteration's; gradients are right",
        "pytorch/pytorch#20406: unreduced losses that aren't written where a pixel is ignored",
        "kernel",
    ),
    Fault(
        "flip-of-image-lost",
        "where a sample is flipped, its labels are, and its image isn't",
        "Eaphan/NCLR#10: a flipped copy that isn't assigned",
        "data",
        in_kernels=False,
    ),
    Fault(
        "labels-interpolated",
        "a label whose right neighbour is another class is the mean of the two",
        "divamgupta/image-segmentation-keras#11: labels that are resized bilinearly",
        "data",
        in_kernels=False,
    ),
    Fault(
        "bases-never-move",
        "the running bases of EMANet's attention stay as they started; no effect on other models",
        "a buffer that is updated in a copy",
        "model",
        in_kernels=False,
    ),
)
