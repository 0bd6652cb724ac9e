"""What a drawing shows, in words: its caption, and what a screen reader says of it."""

from __future__ import annotations

import math

import numpy as np

from reports.curves import MOST_DRAWN, Curve
from reports.wording import multiple, quantity, relative

__all__ = ["caption", "description", "heading"]


def heading(curve: Curve) -> str:
    """The drawing's finding as a headline."""
    if curve.center is None:
        return f"The {curve.signal}, alone"
    if curve.allowed is None:
        return f"The {curve.signal} beside the reference's" + ("" if curve.deviation is not None else ", not judged")
    if len(curve.beyond):
        at = int(curve.iterations[curve.beyond[0]])
        broken = at == curve.first_not_finite
        return f"The {curve.signal} {'is not finite' if broken else 'leaves its envelope'} at iteration {at}"
    return f"The {curve.signal} stays in its envelope" + ("" if curve.complete else ", as far as it goes")


def caption(curve: Curve) -> str:
    """The numbers that matter, in a few short sentences."""
    return " ".join(
        sentence
        for sentence in (
            _closest(curve),
            _not_finite(curve),
            "" if curve.complete else f"Cut short: {len(curve.iterations)} of {curve.planned} iterations.",
            _sight(curve),
            _thinning(curve),
        )
        if sentence
    )


def description(curve: Curve) -> str:
    """The caption and both ends of the candidate's line."""
    first, last = int(curve.iterations[0]), int(curve.iterations[-1])
    ends = (
        f"Line chart over iterations {first} to {last}. The candidate goes from {quantity(float(curve.candidate[0]))} "
        f"to {quantity(float(curve.candidate[-1]))}"
    )
    if curve.center is not None:
        ends += f", the reference from {quantity(float(curve.center[0]))} to {quantity(float(curve.center[-1]))}"
    return f"{ends}. {caption(curve)}"


def _closest(curve: Curve) -> str:
    """The first deviation beyond what is allowed; else the one nearest to it; else, without a bound, the largest."""
    if curve.deviation is None:
        return "There is no reference to compare with." if curve.center is None else ""
    if len(curve.beyond):
        return _beyond(curve, int(curve.beyond[0]))
    with np.errstate(all="ignore"):
        use = np.abs(curve.deviation) / (1.0 if curve.allowed is None else curve.allowed)
    if not np.isfinite(use).any():
        return ""
    at = int(np.nanargmax(np.where(np.isfinite(use), use, np.nan)))
    observed = float(curve.deviation[at])
    if curve.allowed is None:
        return f"Furthest apart at iteration {curve.iterations[at]}: {relative(observed, signed=True)}."
    allowed = float(curve.allowed[at])
    return (
        f"Closest to its bound at iteration {curve.iterations[at]}: {relative(observed, signed=True)}, "
        f"where {relative(allowed)} is allowed ({multiple(observed, allowed)})."
    )


def _beyond(curve: Curve, at: int) -> str:
    if curve.deviation is None or curve.allowed is None or not math.isfinite(curve.deviation[at]):
        return ""  # the next sentence says it
    observed, allowed = float(curve.deviation[at]), float(curve.allowed[at])
    return (
        f"At iteration {curve.iterations[at]} it is {relative(observed, signed=True)} off the reference, "
        f"{multiple(observed, allowed)} the {relative(allowed)} allowed there."
    )


def _not_finite(curve: Curve) -> str:
    if curve.first_not_finite is None:
        return ""
    count = int(np.sum(~np.isfinite(curve.candidate)))
    return f"NaN or ∞ at {count} of {len(curve.candidate)} iterations, first at {curve.first_not_finite}."


def _sight(curve: Curve) -> str:
    if curve.smallest_detectable is None:
        return ""
    return f"The smallest deviation that would have been seen: {relative(curve.smallest_detectable)}."


def _thinning(curve: Curve) -> str:
    total = len(curve.iterations)
    if total <= MOST_DRAWN:
        return ""
    which = "nearest to its bound" if curve.allowed is not None else "with the largest value"
    return f"{MOST_DRAWN} of {total} iterations are drawn: of each stretch, the one {which}."
