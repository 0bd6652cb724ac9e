"""Faults in batch normalization, as data."""

from __future__ import annotations

from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

FAULTS = (
    Fault(
        "bn-momentum-ignored",
        "batch norm's running mean and variance never move",
        "a fused batch norm that drops its momentum",
        "kernel",
    ),
    Fault(
        "bn-momentum-inverted",
        "momentum is taken as the share of the old statistics",
        "another framework's definition of momentum",
        "kernel",
    ),
    Fault(
        "bn-momentum-0.2",
        "momentum is 0.2 whatever the layer says",
        "a default that overrides the argument",
        "kernel",
        severity=0.2,
        severity_means="momentum used",
    ),
    Fault(
        "bn-eps-1e-4",
        "epsilon is 1e-4 whatever the layer says",
        "a default that overrides the argument",
        "kernel",
        severity=0.0001,
        severity_means="epsilon used",
    ),
    Fault(
        "bn-eps-1e-3",
        "epsilon is 1e-3 whatever the layer says",
        "another framework's default",
        "kernel",
        severity=0.001,
        severity_means="epsilon used",
    ),
    Fault(
        "bn-running-variance-biased",
        "the running variance takes the biased variance",
        "n in the divisor instead of n − 1",
        "kernel",
    ),
    Fault(
        "bn-running-mean-kept",
        "the running mean never moves, the running variance does",
        "one of two outputs that isn't written back",
        "kernel",
    ),
    Fault(
        "bn-stale-statistics",
        "training normalizes by the running statistics",
        "a training flag that the kernel doesn't get",
        "kernel",
    ),
    Fault(
        "bn-last-sample-uncounted",
        "the statistics leave out the last sample",
        "a reduction over the batch that ends one short",
        "kernel",
    ),
    Fault(
        "bn-weight-gradient-x1.05",
        "batch norm's scale gets a gradient 5 % too large",
        "a wrong divisor in the backward",
        "autograd",
        severity=1.05,
        severity_means="factor on the scale's gradient",
    ),
    Fault(
        "bn-bias-gradient-zero",
        "batch norm's shift gets no gradient",
        "one of three outputs that isn't written back",
        "autograd",
    ),
    Fault(
        "bn-dgrad-as-in-evaluation",
        "the input gradient ignores the batch's mean and variance",
        "the evaluation kernel's backward used in training",
        "autograd",
    ),
    Fault(
        "syncbn-local",
        "SyncBN normalizes each process by its own statistics",
        "a SyncBN that falls back to plain batch norm",
        "distributed",
        needs="SyncBN",
    ),
)
