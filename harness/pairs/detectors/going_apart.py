"""Curves that begin alike and go apart: always to one side, for a few iterations, or each its own way."""

from __future__ import annotations

import math

import numpy as np

from harness.pairs.deviation import is_logarithmic
from harness.pairs.growth import COARSEST_ROUNDING, LARGEST_HEALTHY, measure_persistence
from harness.pairs.situation import Situation, signed
from harness.pairs.views import View
from harness.rules.bounded import percent
from harness.rules.dependence import MINIMUM_ITERATIONS, Data
from harness.values.verdict import Outcome

__all__ = ["drifts", "parts", "spike"]

_EQUAL_BEFORE = 5
"""Iterations that agree in every digit, after which two runs part because something changed there."""


def drifts(view: View) -> Situation | None:
    """The same data and start, and deviations that stay on one side by more than a healthy pair's."""
    if not view.finite or len(view.pair) < MINIMUM_ITERATIONS or not view.same_data:
        return None
    persistence = measure_persistence(view.deviation, view.resolution)
    if not persistence.called:
        return None
    pair, mean = view.pair, persistence.mean
    onset, latest = (
        int(pair.iterations[persistence.onset]),
        int(pair.iterations[min(persistence.onset_latest, len(pair) - 1)]),
    )
    last = view.relative(float(view.deviation[-min(5, len(pair)) :].mean()))
    failed = abs(mean) > COARSEST_ROUNDING + view.resolution and (
        view.starts_alike or view.first_apart <= view.allowed_start
    )
    where = f"iteration {onset}" if onset == latest or latest < onset else f"iterations {onset}–{latest}"
    equal = int(np.argmax(pair.reference != pair.candidate))
    head = f"drifts from {where} on: {signed(last)} at the end, the same data and start"
    if equal >= _EQUAL_BEFORE:
        head = (
            f"drifts from {view.unit} {pair.iterations[equal]} on: {signed(last)} at the end, "
            f"equal up to {pair.iterations[equal - 1]}"
        )
    return Situation(
        "drifts",
        head
        if failed
        else f"drifts a little: {signed(view.relative(mean))} on average near iteration {onset}, always on one side",
        Outcome.FAIL if failed else Outcome.INCONCLUSIVE,
        f"the deviations stay on one side: {signed(view.relative(mean))} on average over "
        f"{persistence.window} iterations, "
        f"{persistence.ratio:.0f} times their scatter of {percent(persistence.scatter)} "
        f"from one iteration to the next, "
        f"where no healthy pair was above {LARGEST_HEALTHY / 2:.1f}",
        f"look at iteration {onset} and the one before: gradient norms, the optimizer's settings, the learning rate",
        onset,  # the mean is of many iterations: it would be read as the deviation of this one
    )


def spike(view: View) -> Situation | None:
    """A few iterations of the candidate far out, and the rest back where it was."""
    if not is_logarithmic(view.pair.reference, view.pair.candidate):
        return None
    if not view.finite or len(view.pair) < MINIMUM_ITERATIONS or not view.same_data:
        return None
    deviation = view.deviation
    usual = max(float(np.median(np.abs(deviation))), view.resolution, 1e-6)
    at = int(np.argmax(np.abs(deviation)))
    if abs(deviation[at]) < max(0.1, 10 * usual):
        return None
    beyond = np.abs(deviation) > max(abs(deviation[at]) / 10, 3 * usual)
    before, after = np.flatnonzero(~beyond[:at]), np.flatnonzero(~beyond[at:])
    start = int(before[-1]) + 1 if len(before) else 0
    if not len(after) or beyond.sum() > len(deviation) // 5:
        return None
    end = at + int(after[0])
    iterations = view.pair.iterations
    return Situation(
        "spike",
        f"spike at iteration {iterations[start]}: × {math.exp(deviation[at]):.3g}, recovered at {iterations[end]}",
        Outcome.INCONCLUSIVE,
        f"the candidate's loss is {math.exp(deviation[at]):.3g} times the reference's at "
        f"iteration {iterations[at]}, and "
        f"back within {percent(3 * usual)} at {iterations[end]}; the median deviation is {percent(usual)}",
        f"look at iteration {iterations[start]} on the candidate: its batch, gradient norm and loss scale",
        int(iterations[start]),
        observed=view.relative(float(deviation[at])),
    )


def parts(view: View) -> Situation | None:
    """The same start, and then curves that go their own ways."""
    if not view.finite or not view.starts_alike or view.dependence.data is Data.SAME:
        return None
    apart = np.abs(view.deviation) - view.resolution
    if np.all(apart <= 0.01):
        return None
    at = int(np.argmax(apart > 0.01))
    early = int(np.argmax(apart > COARSEST_ROUNDING))
    first, low = int(view.pair.iterations[at]), int(view.pair.iterations[early])
    mean, error = float(view.deviation.mean()), float(view.deviation.std() / math.sqrt(len(view.pair)))
    where = f"iteration {first}" if low == first else f"iterations {low}–{first}"
    return Situation(
        "parts",
        f"parts from {where} on, after the same start; {signed(view.relative(mean))} on average",
        Outcome.INCONCLUSIVE,
        f"the first two losses agree better than chance brings them "
        f"({percent(view.first_apart)}), so that both are the "
        f"same experiment; from iteration {first} on they are more than 1 % apart, {signed(view.relative(mean))} ± "
        f"{percent(2 * error)} on average, and share {view.dependence} of their changes: "
        f"rounding that grew, or a fault",
        "log five digits, and give repeats of the reference (--repeat): they say how early healthy runs part",
        first,
        observed=view.relative(float(np.abs(view.deviation[at]))),
    )
