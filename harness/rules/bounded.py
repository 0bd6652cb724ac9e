"""The finding that follows from a deviation and its bound, whatever the signal."""

from __future__ import annotations

import numpy as np

from harness.rules.spread import Spread
from harness.values.trace import FloatArray, IntArray
from harness.values.verdict import Finding, Outcome

__all__ = ["find_violation", "percent"]


def find_violation(
    rule: str,
    signal: str,
    tier: str,
    *,
    spread: Spread,
    candidate: FloatArray,
    allowed: FloatArray,
    iterations: IntArray,
) -> Finding:
    """The first violation of a bound; without one, where the candidate came closest to it.

    A value that is not finite violates every bound.

    Args:
        rule: the rule's name, for the finding.
        signal: the signal's name, for the finding.
        tier: whose ensemble the spread was measured on.
        spread: (T,) of the healthy runs.
        candidate: (T,) values.
        allowed: (T,) largest |deviation|, in the units of ``spread.sigma``.
        iterations: (T,) iteration numbers.

    Returns:
        A finding that fails or passes; inconclusive where there is no iteration to look at.
    """
    if not len(iterations):
        return Finding(rule, Outcome.INCONCLUSIVE, signal, f"{signal}: no iteration to judge", tier=tier)
    deviation = spread.deviation(candidate)
    violated = ~(np.abs(deviation) <= allowed)
    at = int(np.argmax(violated)) if violated.any() else int(np.argmax(np.abs(deviation) / allowed))
    above, below = spread.as_relative(allowed), -spread.as_relative(-allowed)
    observed = float(spread.as_relative(deviation)[at])
    bound = float(above[at] if observed > 0 else below[at])
    return Finding(
        rule,
        Outcome.FAIL if violated.any() else Outcome.PASS,
        signal,
        _sentence(signal, int(iterations[at]), observed, bound, violated=bool(violated.any())),
        iteration=int(iterations[at]),
        observed=observed,
        allowed=bound,
        smallest_detectable=float(below.min()),
        tier=tier,
    )


def percent(ratio: float) -> str:
    """A ratio as people read it: 0.0123 → ``1.23 %``."""
    return f"{100 * ratio:.3g} %"


def _sentence(signal: str, iteration: int, observed: float, bound: float, *, violated: bool) -> str:
    if not np.isfinite(observed):
        return f"{signal} is not comparable with the reference at iteration {iteration}: deviation {observed}"
    side = "above" if observed > 0 else "below"
    distance = f"{signal} is {percent(abs(observed))} {side} the reference at iteration {iteration}"
    healthy = f"healthy runs stay within {percent(bound)}"
    return f"{distance}, where {healthy}" if violated else f"{distance} at its closest to the bound; {healthy} there"
