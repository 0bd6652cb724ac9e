"""Faults in the loss and in loss scaling, as data."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "ignore-index-ignored",
        "pixels to be ignored count as the last class",
        "a label that is clamped into range instead of skipped",
        "kernel",
    ),
    Fault(
        "loss-mean-over-other-pixels",
        "the loss is averaged over all pixels instead of the valid ones, or the other way round",
        "a wrong divisor in the loss kernel",
        "kernel",
    ),
    Fault(
        "loss-gradient-x1.1",
        "the loss is right, its gradient is 10 % too large",
        "a divisor that forward and backward don't share",
        "autograd",
        severity=1.1,
        severity_means="factor on the loss's gradient",
    ),
    Fault(
        "class-weights-lost",
        "class weights are not applied",
        "an optional argument that the kernel drops; no effect without class weights",
        "kernel",
    ),
    Fault(
        "hard-pixels-dropped",
        "the 10 % of pixels with the largest loss are ignored",
        "a mask with its comparison the wrong way round",
        "kernel",
        severity=0.1,
        severity_means="share of the valid pixels",
    ),
    Fault(
        "label-leak-0.1",
        "the true class's score gets 0.1 added before the loss",
        "labels that reach the scores",
        "kernel",
        severity=0.1,
        severity_means="logits added to the true class",
    ),
    Fault(
        "labels-shifted",
        "labels lie one pixel to the right of the image",
        "a resize of labels with the wrong origin",
        "data",
        severity=1.0,
        severity_means="pixels",
    ),
    Fault(
        "loss-scale-inf-unseen",
        "a gradient that isn't finite isn't found, and is stepped on",
        "a finiteness check that always answers no; needs --amp and an overflow",
        "loss scaling",
        needs="loss scale",
    ),
    Fault(
        "loss-scale-not-undone",
        "gradients stay multiplied by the loss scale",
        "an unscaling kernel that isn't run; needs --amp",
        "loss scaling",
        needs="loss scale",
    ),
    Fault(
        "loss-scale-never-backs-off",
        "the loss scale doesn't shrink after an overflow",
        "a scale update that ignores the overflow; needs --amp and an overflow",
        "loss scaling",
        needs="loss scale",
    ),
    Fault(
        "fp16-without-loss-scale",
        "the loss scale stays at 1",
        "half precision switched on without loss scaling; needs --amp",
        "loss scaling",
        severity=1.0,
        severity_means="loss scale",
        in_kernels=False,
        needs="loss scale",
    ),
    Fault(
        "fp16-overflow-to-zero",
        "a cast to half precision makes zero of what is past 65504",
        "a saturating cast gone wrong; needs --amp and an overflow",
        "loss scaling",
        needs="loss scale",
    ),
    Fault(
        "gradient-through-half",
        "gradients pass through half precision, unscaled, into each convolution's backward",
        "a backward that runs in half precision by default",
        "autograd",
    ),
)
