"""Faults in softmax and batched products, as data."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "softmax-wrong-axis",
        "attention is normalized over queries instead of keys",
        "an axis that isn't translated to the kernel's layout",
        "kernel",
    ),
    Fault(
        "attention-scale-lost",
        "attention's affinities are 16 times too large",
        "1/√d forgotten in a fused attention, at d = 256",
        "kernel",
        severity=16.0,
        severity_means="factor on the affinities",
    ),
    Fault(
        "attention-scale-x1.1",
        "attention's affinities are 10 % too large",
        "a scale from the padded width in place of d",
        "kernel",
        severity=1.1,
        severity_means="factor on the affinities",
    ),
    Fault(
        "softmax-no-maximum",
        "softmax doesn't subtract the maximum",
        "an exponential that overflows past 88; a rounding error only before that",
        "kernel",
    ),
    Fault(
        "log-softmax-no-maximum",
        "log-softmax doesn't subtract the maximum",
        "an exponential that overflows past 88; a rounding error only before that",
        "kernel",
    ),
    Fault(
        "softmax-in-half",
        "softmax and log-softmax are computed in half precision",
        "a kernel for half precision behind a float32 interface",
        "kernel",
    ),
    Fault(
        "softmax-gradient-no-sum",
        "softmax's gradient leaves out the sum over the row",
        "a backward of an element-wise kind",
        "autograd",
    ),
    Fault(
        "bmm-last-term-lost",
        "batched products leave out the last term of each sum",
        "a loop over the inner axis that ends one short",
        "kernel",
    ),
    Fault(
        "bmm-last-row-zero",
        "batched products leave their last row at zero",
        "a grid that is one block too small",
        "kernel",
    ),
    Fault(
        "bmm-reads-as-contiguous",
        "batched products read a transposed operand in memory order",
        "strides that the kernel ignores",
        "kernel",
    ),
    Fault(
        "bmm-in-bf16",
        "batched products write results of 7 mantissa bits",
        "bfloat16 behind a float32 interface",
        "kernel",
        severity=7.0,
        severity_means="mantissa bits of a result",
    ),
)
