"""Dependence: did both sides see the same data?

The loss of an iteration goes up and down with its batch. Two runs that see the same batches share these ups and downs,
even where their weights have parted; runs that see other batches share none. If a change from one iteration to the next
is the sum of a shared part and a part of each run's own, the correlation of the two sides' changes is the shared part's
share of the variance. "The same data" is said where most of it is shared, for sure, and "other data" where most of it
is not. What changes slowly, as every falling loss does, is taken out before; and ranks are correlated, not values, so
that one spike doesn't decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from harness.rules.bootstrap import block_length, draw_blocks, interval
from harness.values.trace import FloatArray

__all__ = ["MINIMUM_ITERATIONS", "Data", "Dependence", "measure_dependence"]

MINIMUM_ITERATIONS = 20
"""With fewer the correlation of independent runs has a standard deviation above 0.22, and says nothing."""

_MAJORITY = 0.5


class Data(str, Enum):
    """What the two sides' data are to each other."""

    SAME = "the same data"
    OTHER = "other data"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Dependence:
    """How much of the changes from iteration to iteration two runs share.

    Args:
        correlation: Spearman's, in [−1, 1]; NaN where it can't be measured.
        low: lower end of its 95 % interval.
        high: upper end.
        data: what follows.
    """

    correlation: float
    low: float
    high: float
    data: Data

    def __str__(self) -> str:
        if np.isnan(self.correlation):
            return "not measurable"
        return f"{self.correlation:.2f} (95 % interval {self.low:.2f} … {self.high:.2f})"


def measure_dependence(reference: FloatArray, candidate: FloatArray) -> Dependence:
    """The correlation of two runs' changes from one common iteration to the next.

    Args:
        reference: (T,) values.
        candidate: (T,) values at the same iterations. Values that are not finite are left out with their changes.
    """
    finite = np.isfinite(reference) & np.isfinite(candidate)
    adjacent = finite[1:] & finite[:-1]
    with np.errstate(invalid="ignore", over="ignore"):
        changes = [np.diff(side)[adjacent] for side in (reference, candidate)]
    n = len(changes[0])
    if n + 1 < MINIMUM_ITERATIONS or any(np.ptp(change) == 0 for change in changes):
        return Dependence(float("nan"), float("nan"), float("nan"), Data.UNKNOWN)
    ranks = [_ranks(change - _slow_part(change)) for change in changes]
    drawn = [_correlation(ranks[0][at], ranks[1][at]) for at in draw_blocks(n, block_length(ranks[0]))]
    low, high = interval(np.concatenate(drawn))
    data = Data.SAME if low > _MAJORITY else Data.OTHER if high < _MAJORITY else Data.UNKNOWN
    return Dependence(float(_correlation(*ranks)), low, high, data)


def _ranks(values: FloatArray) -> FloatArray:
    """(n,) ranks; equal values share the mean of theirs."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2


def _slow_part(changes: FloatArray) -> FloatArray:
    """(n,) the mean of the changes up to five iterations to either side."""
    window = np.ones(min(11, len(changes)))
    return np.convolve(changes, window, "same") / np.convolve(np.ones(len(changes)), window, "same")


def _correlation(one: FloatArray, other: FloatArray) -> FloatArray:
    """Pearson's, over the last axis; zero where a side is constant."""
    one = one - one.mean(axis=-1, keepdims=True)
    other = other - other.mean(axis=-1, keepdims=True)
    size = np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))
    return np.asarray((one * other).sum(axis=-1) / np.maximum(size, np.finfo(float).tiny))
