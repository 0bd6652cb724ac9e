"""One side prints a mean over several iterations, the other each iteration's own loss."""

from __future__ import annotations

import math

import numpy as np

from harness.pairs.situation import Situation
from harness.pairs.views import View
from harness.rules.bounded import percent
from harness.rules.dependence import MINIMUM_ITERATIONS
from harness.values.trace import FloatArray
from harness.values.verdict import Outcome

__all__ = ["smoothed"]


def smoothed(view: View) -> Situation | None:
    """One curve is far smoother than the other, and a mean of the other fits it."""
    pair = view.pair
    if not view.finite or len(pair) < MINIMUM_ITERATIONS or np.any(pair.reference <= 0) or np.any(pair.candidate <= 0):
        return None
    rough = [float(np.median(np.abs(np.diff(np.log(side), 2)))) for side in (pair.reference, pair.candidate)]
    if min(rough) <= 0 or max(rough) < 3 * min(rough):
        return None
    side = "candidate" if rough[1] < rough[0] else "reference"
    plain, smooth = (pair.reference, pair.candidate) if side == "candidate" else (pair.candidate, pair.reference)
    window, left, before = _mean_that_fits(plain, smooth)
    if left > 0.5 * before:
        return None
    times = max(rough) / min(rough)
    return Situation(
        "smoothed",
        f"smoothed on one side: the {side}'s loss is a mean over about {window} iterations",
        Outcome.INCONCLUSIVE,
        f"the {side}'s curve is {times:.0f} times smoother from one iteration to the "
        f"next; a mean of the other side over "
        f"{window} iterations leaves {percent(left)} of deviation, where {percent(before)} were",
        "log each iteration's own loss on both sides",
    )


def _mean_that_fits(plain: FloatArray, smooth: FloatArray) -> tuple[int, float, float]:
    """The window whose running mean of one side is closest to the other: the window, what is left, what was there."""
    before = float(np.median(np.abs(np.log(smooth / plain))))
    total = np.concatenate([[0.0], np.cumsum(plain)])
    best = (1, math.inf)
    for window in range(2, min(200, len(plain) // 2) + 1):
        at = np.arange(len(plain))
        low = np.maximum(at + 1 - window, 0)
        mean = (total[at + 1] - total[low]) / (at + 1 - low)
        left = float(np.median(np.abs(np.log(smooth / mean))))
        best = min(best, (window, left), key=lambda one: one[1])
        exponential = _exponential_mean(plain, 2 / (window + 1))
        left = float(np.median(np.abs(np.log(smooth / exponential))))
        best = min(best, (window, left), key=lambda one: one[1])
    return best[0], best[1], before


def _exponential_mean(values: FloatArray, share: float) -> FloatArray:
    from scipy.signal import lfilter  # imported here: it takes as long as all else that a command's start imports

    smoothed, _ = lfilter([share], [1, share - 1], values, zi=[values[0] * (1 - share)])
    return np.asarray(smoothed)
