"""Backward kernels, as data: faults of the blind set."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "conv-wgrad-shuffled",
        "weight gradients of kernels larger than 1×1 have the right numbers in channels-last order",
        "apple/tensorflow_macos#230: a kernel's gradient that is right but shuffled",
        "autograd",
    ),
    Fault(
        "conv-wgrad-workspace-uncleared",
        "dilated convolutions add their weight gradient to that of the layer before, of the same shape",
        "pytorch/pytorch#72157: a gradient accumulated into what isn't initialized",
        "autograd",
    ),
    Fault(
        "conv-dgrad-strided-1x1-spread",
        "a strided 1×1 convolution's input gradient lies on skipped pixels, too",
        "ROCm/composable_kernel#105: the input gradient of a 1×1 filter with stride 2",
        "autograd",
    ),
    Fault(
        "conv-dgrad-1x1-tail-unwritten",
        "an unstrided 1×1 convolution's input gradient is zero on the pixels past a multiple of 16",
        "ROCm/MIOpen#1672: 320 values of 324 are written",
        "autograd",
        severity=16.0,
        severity_means="pixels of a block",
    ),
    Fault(
        "bn-backward-misreads-channels-last",
        "batch norm's backward reads an input whose channels lie innermost in memory order",
        "pytorch/pytorch#175189: wrong gradients of batch norm on channels-last inputs",
        "autograd",
    ),
    Fault(
        "bn-dgrad-variance-term-lost",
        "the input gradient ignores the batch's variance, not its mean",
        "the second of two sums that isn't waited for",
        "autograd",
    ),
    Fault(
        "max-pool-gradient-uncleared",
        "max pooling adds its gradient to those of all iterations before",
        "pytorch/executorch#21686: a gradient that is scattered into what isn't zeroed",
        "autograd",
    ),
    Fault(
        "relu-mask-of-another",
        "every fifth iteration, ReLU's backward has the mask of the one before, where shapes agree",
        "a bit mask whose memory is handed out again too early",
        "autograd",
        severity=5.0,
        severity_means="iterations from one to the next",
    ),
    Fault(
        "upsample-gradient-border-lost",
        "gradients at an upsampled map's border arrive in part",
        "intel/torch-xpu-ops#1627: weights at the border that should be 1",
        "autograd",
    ),
    Fault(
        "log-softmax-gradient-tail-unsummed",
        "log-softmax's gradient leaves the classes past a multiple of 4 out of its sum",
        "a vector loop without its remainder",
        "autograd",
        severity=4.0,
        severity_means="classes of a vector",
    ),
)
