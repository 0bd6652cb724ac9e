"""What a drawing shows, in words: its caption, and what a screen reader says of it."""

from __future__ import annotations

import math

import numpy as np

from harness.values.trace import FloatArray, IntArray
from reports.drawing.curves import MOST_DRAWN, Curve
from reports.words.wording import multiple, quantity, relative

__all__ = ["caption", "description", "heading", "short_caption", "values_at"]


def heading(curve: Curve) -> str:
    """The drawing's finding as a headline."""
    if curve.center is None:
        return f"The {curve.signal}, alone"
    if curve.allowed is None:
        return f"The {curve.signal} beside the reference's" + ("" if curve.deviation is not None else ", not judged")
    at = curve.left_at
    if at is not None:
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
            "" if curve.complete else f"Ended after {len(curve.iterations)} of {curve.planned} iterations.",
            _sight(curve),
            _thinning(curve),
        )
        if sentence
    )


def short_caption(curve: Curve) -> str:
    """How far the curve goes towards its bound or beyond: all that a small drawing beside a large one has to say."""
    return " ".join(sentence for sentence in (_closest(curve), _not_finite(curve)) if sentence)


def values_at(curve: Curve) -> list[str]:
    """(T,) the values of each iteration, as the pointer is told them."""
    words = []
    for place, iteration in enumerate(curve.iterations.tolist()):
        told = [f"iteration {iteration}", f"candidate {_exact(float(curve.candidate[place]))}"]
        if curve.center is not None and math.isfinite(curve.center[place]):
            told.append(f"reference {_exact(float(curve.center[place]))}")
        if curve.deviation is not None and math.isfinite(curve.deviation[place]):
            told.append(f"deviation {relative(float(curve.deviation[place]), signed=True)}")
        if curve.allowed is not None and math.isfinite(curve.allowed[place]):
            told.append(f"allowed ±{relative(float(curve.allowed[place]))}")
        words.append("\n".join(told))
    return words


def _exact(value: float) -> str:
    """Eight digits, as many as float32 has: the two sides differ in the last of them."""
    return f"{value:.8g}".replace("-", "−")


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
    called = curve.violation
    if called is not None and called.iteration == curve.left_at and called.observed is not None and called.allowed:
        return _beyond(called.iteration, called.observed, called.allowed)
    if curve.deviation is None:
        return "There is no reference to compare with." if curve.center is None else ""
    if curve.allowed is None:
        return _furthest(curve.iterations, curve.deviation)
    if len(curve.beyond):
        first = curve.beyond[0]
        return _beyond(curve.left_at, float(curve.deviation[first]), float(curve.allowed[first]))
    with np.errstate(all="ignore"):
        use = np.nan_to_num(np.abs(curve.deviation) / curve.allowed)
    at = int(np.argmax(use))
    observed, allowed = float(curve.deviation[at]), float(curve.allowed[at])
    return (
        f"Closest to its bound at iteration {curve.iterations[at]}: {relative(observed, signed=True)}, "
        f"where {relative(allowed)} is allowed ({multiple(observed, allowed)})."
    )


def _beyond(iteration: int | None, observed: float, allowed: float) -> str:
    if not math.isfinite(observed):
        return ""  # the next sentence says it
    return (
        f"At iteration {iteration} it is {relative(observed, signed=True)} off the reference, "
        f"{multiple(observed, allowed)} the {relative(allowed)} allowed there."
    )


def _furthest(iterations: IntArray, deviation: FloatArray) -> str:
    known = np.flatnonzero(np.isfinite(deviation))
    if not len(known):
        return ""
    at = known[np.argmax(np.abs(deviation[known]))]
    return f"Furthest apart at iteration {iterations[at]}: {relative(float(deviation[at]), signed=True)}."


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
