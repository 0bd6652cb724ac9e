"""Faults in convolution, as data."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "conv-wgrad-x1.05",
        "every convolution's weight gradient is 5 % too large",
        "a wrong scale in the weight-gradient kernel",
        "autograd",
        severity=1.05,
        severity_means="factor on the weight gradient",
    ),
    Fault(
        "conv-wgrad-x1.01",
        "every convolution's weight gradient is 1 % too large",
        "an accumulation that counts a border twice",
        "autograd",
        severity=1.01,
        severity_means="factor on the weight gradient",
    ),
    Fault(
        "conv-wgrad-x1.5",
        "every convolution's weight gradient is half again too large",
        "a gradient that is added twice for some samples",
        "autograd",
        severity=1.5,
        severity_means="factor on the weight gradient",
    ),
    Fault(
        "conv-wgrad-layer-x1.01",
        "one convolution's weight gradient is 1 % too large",
        "a specialized kernel that one shape takes",
        "autograd",
        severity=1.01,
        severity_means="factor on the weight gradient",
        layer="fourth convolution of the backward",
    ),
    Fault(
        "conv-wgrad-layer-x1.5",
        "one convolution's weight gradient is half again too large",
        "a specialized kernel that one shape takes",
        "autograd",
        severity=1.5,
        severity_means="factor on the weight gradient",
        layer="fourth convolution of the backward",
    ),
    Fault(
        "conv-wgrad-layer-zero",
        "one convolution's weight gradient is zero",
        "a kernel that isn't launched for one shape",
        "autograd",
        severity=0.0,
        severity_means="factor on the weight gradient",
        layer="fourth convolution of the backward",
    ),
    Fault(
        "conv-wgrad-layer-stale",
        "one convolution's weight gradient is the last iteration's",
        "a workspace that is read before it is written",
        "autograd",
        layer="fourth convolution of the backward",
    ),
    Fault(
        "conv-wgrad-stale-2pct",
        "2 % of each weight gradient is the last iteration's",
        "a buffer that isn't cleared",
        "autograd",
        severity=0.02,
        severity_means="share of the last iteration's gradient",
    ),
    Fault(
        "conv-wgrad-rotated",
        "a dilated convolution's weight gradient comes out rotated by half a turn",
        "convolution taken for correlation in the dilated kernel",
        "autograd",
    ),
    Fault(
        "conv-wgrad-last-sample-lost",
        "weight gradients leave out the last sample",
        "a loop over the batch that ends one short",
        "autograd",
    ),
    Fault(
        "conv-dgrad-x1.02",
        "every convolution's input gradient is 2 % too large",
        "a wrong scale in the input-gradient kernel, which compounds over layers",
        "autograd",
        severity=1.02,
        severity_means="factor on the input gradient",
    ),
    Fault(
        "conv-bias-gradient-zero",
        "every convolution's bias gradient is zero",
        "a fused backward that forgets the bias",
        "autograd",
    ),
    Fault(
        "conv-bias-dropped",
        "convolutions don't add their bias",
        "a fused epilogue that is skipped",
        "kernel",
    ),
    Fault(
        "conv-pads-with-edge",
        "convolutions pad with the edge's values instead of zeros",
        "a clamped address in place of a bounds check",
        "kernel",
    ),
)
