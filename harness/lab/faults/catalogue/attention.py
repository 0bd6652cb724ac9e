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
        "attention_faults:softmax_over_wrong_axis",
    ),
    Fault(
        "attention-scale-lost",
        "attention's affinities are 16 times too large",
        "1/√d forgotten in a fused attention, at d = 256",
        "kernel",
        "attention_faults:scale_lost",
        severity=16.0,
        severity_means="factor on the affinities",
    ),
    Fault(
        "attention-scale-x1.1",
        "attention's affinities are 10 % too large",
        "a scale from the padded width in place of d",
        "kernel",
        "attention_faults:scale_lost",
        severity=1.1,
        severity_means="factor on the affinities",
    ),
    Fault(
        "softmax-no-maximum",
        "softmax doesn't subtract the maximum",
        "an exponential that overflows past 88; a rounding error only before that",
        "kernel",
        "attention_faults:softmax_without_maximum",
    ),
    Fault(
        "log-softmax-no-maximum",
        "log-softmax doesn't subtract the maximum",
        "an exponential that overflows past 88; a rounding error only before that",
        "kernel",
        "attention_faults:log_softmax_without_maximum",
    ),
    Fault(
        "softmax-in-half",
        "softmax and log-softmax are computed in half precision",
        "a kernel for half precision behind a float32 interface",
        "kernel",
        "attention_faults:softmax_in_half",
    ),
    Fault(
        "softmax-gradient-no-sum",
        "softmax's gradient leaves out the sum over the row",
        "a backward of an element-wise kind",
        "autograd",
        "attention_faults:gradient_without_sum",
    ),
    Fault(
        "bmm-last-term-lost",
        "batched products leave out the last term of each sum",
        "a loop over the inner axis that ends one short",
        "kernel",
        "attention_faults:last_key_unseen",
    ),
    Fault(
        "bmm-last-row-zero",
        "batched products leave their last row at zero",
        "a grid that is one block too small",
        "kernel",
        "attention_faults:last_row_unwritten",
    ),
    Fault(
        "bmm-reads-as-contiguous",
        "batched products read a transposed operand in memory order",
        "strides that the kernel ignores",
        "kernel",
        "memory_faults:read_as_contiguous",
    ),
    Fault(
        "bmm-in-bf16",
        "batched products write results of 7 mantissa bits",
        "bfloat16 behind a float32 interface",
        "kernel",
        "precision_faults:matmul_rounded",
        severity=7.0,
        severity_means="mantissa bits of a result",
    ),
)
