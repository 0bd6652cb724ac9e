"""Faults in resizing, pooling, activations and dropout, as data."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "align-corners-flipped",
        "bilinear upsampling treats align_corners as its opposite, forward and backward",
        "a resize kernel with the wrong corner convention",
        "kernel",
    ),
    Fault(
        "align-corners-flipped-forward",
        "align_corners is its opposite in the forward only",
        "a forward kernel with the wrong corner convention",
        "kernel",
    ),
    Fault(
        "align-corners-flipped-backward",
        "align_corners is its opposite in the backward only",
        "a backward kernel with the wrong corner convention",
        "autograd",
    ),
    Fault(
        "bilinear-is-nearest",
        "bilinear upsampling takes the nearest pixel",
        "an interpolation mode that isn't supported and isn't refused",
        "kernel",
    ),
    Fault(
        "bilinear-half-pixel-lost",
        "bilinear upsampling reads each pixel up to half a source pixel off, where corners aren't aligned",
        "a source coordinate of i · scale, as other frameworks have it, in place of (i + ½) · scale − ½",
        "kernel",
    ),
    Fault(
        "argmax-takes-last",
        "where scores are equal, argmax takes the last of them",
        "a comparison that includes equality; no effect where no two scores are equal",
        "kernel",
    ),
    Fault(
        "fallback-stale-copy",
        "upsampling on the host hands back its last result",
        "a CPU fallback whose copy back isn't waited for",
        "kernel",
    ),
    Fault(
        "adaptive-pool-bins-floored",
        "adaptive average pooling ends each bin where the next begins",
        "a bin's end rounded down instead of up",
        "kernel",
    ),
    Fault(
        "avg-pool-padding-counted",
        "average pooling treats count_include_pad as its opposite",
        "a divisor with the wrong padding convention",
        "kernel",
    ),
    Fault(
        "max-pool-gradient-overwritten",
        "where windows share a maximum, one of their gradients arrives",
        "a scatter that writes where it should add",
        "autograd",
    ),
    Fault(
        "relu-gradient-at-zero",
        "ReLU passes the gradient where its output is zero",
        "a comparison that includes equality",
        "autograd",
    ),
    Fault(
        "relu-leaks-1pct",
        "ReLU lets 1 % of what is negative through",
        "a leaky ReLU's kernel in ReLU's place",
        "kernel",
        severity=0.01,
        severity_means="share of a negative value let through",
    ),
    Fault(
        "nan-to-zero",
        "ReLU turns NaN into zero",
        "a maximum that prefers the number; it hides other faults and has no effect by itself",
        "kernel",
    ),
    Fault(
        "dropout-inverted",
        "dropout drops what it should keep",
        "a probability taken for its complement; no effect where dropout is off",
        "kernel",
    ),
    Fault(
        "dropout-keeps-all",
        "dropout keeps everything and scales it up",
        "a mask that isn't applied; no effect where dropout is off",
        "kernel",
    ),
)
