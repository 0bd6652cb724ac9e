"""Faults of memory and of precision, as data."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "bit-flip-high",
        "bit 29 of one activation flips, once",
        "a memory error in a high exponent bit",
        "kernel",
        severity=29.0,
        severity_means="bit, 0 the lowest of the mantissa, 31 the sign",
    ),
    Fault(
        "bit-flip-low-exponent",
        "bit 24 of one activation flips, once",
        "a memory error in a low exponent bit",
        "kernel",
        severity=24.0,
        severity_means="bit, 0 the lowest of the mantissa, 31 the sign",
    ),
    Fault(
        "bit-flip-mantissa",
        "bit 20 of one activation flips, once",
        "a memory error in the mantissa",
        "kernel",
        severity=20.0,
        severity_means="bit, 0 the lowest of the mantissa, 31 the sign",
    ),
    Fault(
        "race-1e-4",
        "one in 10 000 elements of each convolution's output is the last iteration's",
        "a missing barrier",
        "kernel",
        severity=0.0001,
        severity_means="share of the elements",
    ),
    Fault(
        "race-1e-2",
        "one in 100 elements of each convolution's output is the last iteration's",
        "a missing barrier",
        "kernel",
        severity=0.01,
        severity_means="share of the elements",
    ),
    Fault(
        "tail-column-unwritten",
        "the last column of a convolution stays zero where the width is no multiple of 16",
        "a vector loop without its remainder",
        "kernel",
        severity=16.0,
        severity_means="columns of a vector",
    ),
    Fault(
        "tail-channel-unwritten",
        "the last channel of a convolution stays zero where their number is no multiple of 4",
        "a vector loop without its remainder",
        "kernel",
        severity=4.0,
        severity_means="channels of a vector",
    ),
    Fault(
        "sum-tail-unread",
        "a sum over all elements leaves out the last where their number is odd",
        "a pairwise reduction without its remainder",
        "kernel",
    ),
    Fault(
        "index-overflow",
        "upsampling writes nothing past element 65536",
        "an index type that is too small, 32 bits on a card, scaled down to a small case",
        "kernel",
        severity=65536.0,
        severity_means="elements that can be addressed",
    ),
    Fault(
        "conv-output-bf16",
        "convolutions write results of 7 mantissa bits",
        "bfloat16 behind a float32 interface",
        "kernel",
        severity=7.0,
        severity_means="mantissa bits of a result",
    ),
    Fault(
        "conv-wgrad-bf16",
        "weight gradients keep 7 mantissa bits",
        "gradients that are stored in bfloat16",
        "autograd",
        severity=7.0,
        severity_means="mantissa bits of a gradient",
    ),
    Fault(
        "conv-operands-truncated",
        "convolution cuts its operands to 10 mantissa bits instead of rounding them",
        "a conversion by masking, which has a bias",
        "kernel",
        severity=10.0,
        severity_means="mantissa bits of an operand",
    ),
    Fault(
        "conv-partial-sums-half",
        "convolution keeps the sums over 4 groups of channels in half precision",
        "an accumulator in half precision",
        "kernel",
        severity=4.0,
        severity_means="partial sums",
    ),
    Fault(
        "bn-input-half",
        "batch norm reads half-precision inputs",
        "a cast that should have been float32",
        "kernel",
    ),
    Fault(
        "upsample-in-half",
        "upsampling reads half-precision pixels",
        "a cast that should have been float32",
        "kernel",
    ),
    Fault(
        "subnormals-flushed",
        "convolutions write zero for a subnormal result",
        "flush to zero, which is within an accelerator's rights: no effect is expected",
        "kernel",
    ),
)
