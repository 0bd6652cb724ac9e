"""Faults in data, in the model's loss terms and between processes, as data."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "last-sample-dropped",
        "the last sample of each batch isn't trained on",
        "a loader that rounds the batch down",
        "data",
        in_kernels=False,
    ),
    Fault(
        "labels-of-another-sample",
        "each image trains with its neighbour's labels",
        "two queues out of step",
        "data",
        in_kernels=False,
    ),
    Fault(
        "channels-swapped",
        "red and blue change places",
        "BGR taken for RGB",
        "data",
        in_kernels=False,
    ),
    Fault(
        "image-quantized",
        "normalized images are rounded to multiples of 1/32",
        "images that lose a bit of their eight on the way",
        "data",
        severity=0.03125,
        severity_means="step of the rounding",
        in_kernels=False,
    ),
    Fault(
        "image-tail-stale",
        "the last 8 rows of each image are the last batch's",
        "a copy to the device that isn't waited for",
        "data",
        severity=8.0,
        severity_means="rows",
        in_kernels=False,
    ),
    Fault(
        "batch-repeated",
        "every tenth iteration trains on the batch before",
        "a prefetch queue that is read twice",
        "data",
        severity=10.0,
        severity_means="iterations from one repetition to the next",
        in_kernels=False,
    ),
    Fault(
        "data-order-shifted",
        "every batch comes one iteration early",
        "a loader that loses its first batch; the batch digests show it",
        "data",
        in_kernels=False,
    ),
    Fault(
        "aux-loss-lost",
        "auxiliary losses don't enter the sum",
        "a loss term that is logged and not added",
        "model",
        severity=0.0,
        severity_means="factor on auxiliary losses",
        in_kernels=False,
    ),
    Fault(
        "aux-loss-doubled",
        "auxiliary losses enter the sum twice",
        "a loss term that is added twice",
        "model",
        severity=2.0,
        severity_means="factor on auxiliary losses",
        in_kernels=False,
    ),
    Fault(
        "allreduce-not-averaged",
        "gradients are summed over the ranks; needs two processes",
        "a reduction without its division",
        "distributed",
        in_kernels=False,
        needs="processes",
    ),
    Fault(
        "allreduce-rank-lost",
        "the last rank's gradients arrive as zeros; needs two processes",
        "a rank that drops out of the ring",
        "distributed",
        in_kernels=False,
        needs="processes",
    ),
    Fault(
        "allreduce-in-bf16",
        "gradients travel in bfloat16; needs two processes",
        "compression that is on by default",
        "distributed",
        in_kernels=False,
        needs="processes",
    ),
    Fault(
        "allreduce-skipped",
        "each rank trains on its own gradients; needs two processes",
        "a collective that returns before it ran",
        "distributed",
        in_kernels=False,
        needs="processes",
    ),
)
