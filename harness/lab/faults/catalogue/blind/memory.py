"""Memory, layouts, precision and races, as data: faults of the blind set."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "conv-winograd-10bit",
        "3×3 convolutions, where undilated, are Winograd's, and keep 10 mantissa bits of transformed operands",
        "ROCm/rocm-libraries#3508: Winograd's algorithm on operands of low precision",
        "kernel",
        severity=10.0,
        severity_means="mantissa bits of a transformed operand",
    ),
    Fault(
        "conv-packed-weights-stale",
        "convolutions larger than 1×1 compute with the weights of their last iteration",
        "ooples/AiDotNet#1488: packed weights that an optimizer's step doesn't invalidate",
        "kernel",
    ),
    Fault(
        "add-overwrites-operand",
        "the sum of two maps is written over the first of them, too",
        "openvinotoolkit/openvino#36565: a fused sum that shares its operand's memory",
        "kernel",
    ),
    Fault(
        "add-into-view-lost",
        "adding in place to a view that isn't one block of memory changes nothing",
        "Oneflow-Inc/oneflow#8578: += on a slice that works on a copy",
        "kernel",
    ),
    Fault(
        "cat-reads-as-contiguous",
        "a map whose channels lie innermost is joined to others in memory order",
        "pytorch/pytorch#91308: concatenation of other memory layouts",
        "kernel",
    ),
    Fault(
        "bn-variance-by-subtraction",
        "batch norm's variance is the mean square less the squared mean",
        "tenstorrent/tt-metal#45968: two large numbers that cancel",
        "kernel",
    ),
    Fault(
        "bn-sums-lose-1pct",
        "one channel in 100 of each batch norm lacks an eighth of its sums",
        "a sum over blocks by additions that aren't atomic",
        "kernel",
        severity=0.01,
        severity_means="chance of a channel",
    ),
    Fault(
        "conv-bias-gradient-summed-in-bf16",
        "bias gradients are summed in an accumulator of 7 mantissa bits",
        "ml-explore/mlx#3909: sums that stop growing in a low-precision accumulator",
        "autograd",
    ),
    Fault(
        "conv-dgrad-overwritten-every-7th",
        "every seventh iteration, the last quarter of one input gradient is another layer's",
        "meta-pytorch/torchrec#4231: memory handed out again before it was read",
        "autograd",
        severity=7.0,
        severity_means="iterations from one to the next",
        layer="fourth convolution of the backward",
    ),
)
