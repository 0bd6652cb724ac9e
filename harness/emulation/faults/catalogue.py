"""The fault catalogue, as data: nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from harness.emulation.faults.fault import Fault

__all__ = ["FAULTS"]

_CATALOGUE = (
    Fault(
        "conv-wgrad-x1.05",
        "every convolution's weight gradient is 5 % too large",
        "a wrong scale in the weight-gradient kernel",
        "autograd",
        "convolution:weight_gradient_scaled",
        severity=1.05,
        severity_means="factor on the weight gradient",
    ),
    Fault(
        "align-corners-flipped",
        "bilinear upsampling treats align_corners as its opposite, forward and backward",
        "a resize kernel with the wrong corner convention",
        "kernel",
        "resizing:align_corners_flipped",
    ),
    Fault(
        "bn-momentum-ignored",
        "batch norm's running mean and variance never move",
        "a fused batch norm that drops its momentum",
        "kernel",
        "normalization:momentum_ignored",
    ),
)

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _CATALOGUE})
