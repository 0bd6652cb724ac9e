"""Schedule: every learning rate is the reference's at every iteration.

It is computed on the host in float64 by both sides, so it must be equal but for the last bits of a power.
"""

from __future__ import annotations

import numpy as np

from harness.values.trace import Trace
from harness.values.verdict import Finding, Outcome

__all__ = ["RULE", "judge_schedule"]

RULE = "schedule"

_TOLERANCE = 1e-12
"""Relative: some thousand units in the last place of float64, for powers and for products in another order."""


def judge_schedule(reference: Trace, candidate: Trace) -> list[Finding]:
    """A finding on each learning rate that the reference recorded: ``lr``, and ``lr.1`` … of further parameter groups.

    Args:
        reference: a run with the candidate's iterations or more.
        candidate: the run to judge.
    """
    names = [name for name in reference.signals if name == "lr" or name.startswith("lr.")]
    return [_judge_rate(name, reference, candidate) for name in names]


def _judge_rate(name: str, reference: Trace, candidate: Trace) -> Finding:
    wanted = reference.signals[name][: len(candidate)]
    got = candidate.signals.get(name, np.full(len(candidate), np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        # Equal rates are taken out first: two rates of zero would divide to NaN, which is out of tolerance.
        alike = (got == wanted) | ~(reference.has_value(name)[: len(candidate)] | candidate.has_value(name))
        deviation = np.where(alike, 0.0, got / wanted - 1)
    violated = ~(np.abs(deviation) <= _TOLERANCE)
    if not violated.any():
        message = f"{name} is the reference's at all {len(candidate)} iterations"
        return Finding(RULE, Outcome.PASS, name, message, allowed=_TOLERANCE, smallest_detectable=_TOLERANCE)
    at = int(np.argmax(violated))
    iteration = int(candidate.iterations[at])
    rates = f"{float(got[at])!r} at iteration {iteration}, where the reference has {float(wanted[at])!r}"
    return Finding(
        RULE,
        Outcome.FAIL,
        name,
        f"the learning rate ({name}) is {rates}",
        iteration=iteration,
        observed=float(deviation[at]),
        allowed=_TOLERANCE,
        smallest_detectable=_TOLERANCE,
    )
