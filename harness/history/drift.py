"""Drift: does a number move one way from build to build, while every verdict still passes?

The test is Mann and Kendall's (Mann 1945; Kendall, Rank Correlation Methods, 1975): of all pairs of builds, how many
more rise than fall. It asks nothing of the numbers' distribution. What healthy builds must be is exchangeable: any
order of them as likely as any other. Runs of a deterministic device repeat a number to the bit until something in the
build changes it, and such a plateau isn't exchangeable with its neighbours. So equal neighbours count once.

The false-alarm rate is that of a whole report: it is divided by the number of series that are tested (Bonferroni), so
that a healthy history shows any drift at all with at most that chance.
``benchmarks/history_drift.py`` counts it by simulation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.values.trace import FloatArray

__all__ = ["FALSE_ALARM_RATE", "LEAST", "WINDOW", "Drift", "find_drifts", "mann_kendall"]

FALSE_ALARM_RATE = 0.01
"""Chance that a report of a healthy history says "drift" anywhere."""

WINDOW = 40
"""Builds that are looked back on: a drift that lasts longer shows in its last part too."""

LEAST = 8
"""Different values in a row below which nothing is tested: of 7 the rarest order has a chance of 4e-4."""


@dataclass(frozen=True)
class Drift:
    """A number that moves one way.

    Args:
        name: of the series.
        values: in the order of the builds.
        builds: places of the builds that they are of.
        p: chance of so many pairs in one direction, or more, in a healthy history.
        threshold: that p is below: the report's rate over the number of series.
        slope: median change from one build to the next (Theil and Sen).
        first: median of the first quarter of the values.
        last: median of the last quarter.
    """

    name: str
    values: tuple[float, ...]
    builds: tuple[int, ...]
    p: float
    threshold: float
    slope: float
    first: float
    last: float


def find_drifts(
    series: Mapping[str, Sequence[tuple[int, float]]], rate: float = FALSE_ALARM_RATE
) -> tuple[list[Drift], int]:
    """The series that move one way.

    Args:
        series: name → (place of the build, value), in the order of the builds; what isn't finite is left out.
        rate: chance that a healthy history shows any.

    Returns:
        The drifts, the least likely first; and how many series were long enough to be tested.
    """
    told = {name: [(b, v) for b, v in points if math.isfinite(v)] for name, points in series.items()}
    changed = {name: _without_repeats(points) for name, points in told.items()}
    tested = {name: points for name, points in changed.items() if len(points) >= LEAST}
    drifts = []
    for name, points in tested.items():
        values = np.array([value for _, value in points])
        p = mann_kendall(values)
        if p < rate / len(tested):
            every = told[name]
            quarter = max(1, len(every) // 4)
            drifts.append(
                Drift(
                    name,
                    tuple(value for _, value in every),
                    tuple(build for build, _ in every),
                    p,
                    rate / len(tested),
                    _slope(np.array([b for b, _ in every], float), np.array([v for _, v in every])),
                    float(np.median([value for _, value in every[:quarter]])),
                    float(np.median([value for _, value in every[-quarter:]])),
                )
            )
    return sorted(drifts, key=lambda drift: drift.p), len(tested)


def mann_kendall(values: FloatArray) -> float:
    """The two-sided p of Mann and Kendall's test against a trend.

    Exact where no two values are equal (the number of orders with so many inversions, Kendall 1975), else by the normal
    approximation with its correction for ties and for continuity.

    Args:
        values: (n,), n ≥ 2.
    """
    n = len(values)
    signs = np.sign(values[None, :] - values[:, None])
    score = round(float(np.triu(signs, 1).sum()))
    if n <= 2 * WINDOW and len(np.unique(values)) == n:
        return min(1.0, 2 * float(_tail(n)[(n * (n - 1) // 2 + abs(score)) // 2]))
    _, counts = np.unique(values, return_counts=True)
    ties = float((counts * (counts - 1) * (2 * counts + 5)).sum())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    if variance <= 0 or score == 0:
        return 1.0
    return math.erfc((abs(score) - 1) / math.sqrt(2 * variance))


@functools.cache
def _tail(n: int) -> FloatArray:
    """Chance that at least k of the pairs of n exchangeable values rise, for k = 0 … n(n−1)/2."""
    chances = np.ones(1)
    for size in range(2, n + 1):
        chances = np.convolve(chances, np.full(size, 1 / size))
    return np.cumsum(chances[::-1])[::-1]


def _without_repeats(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    return [point for number, point in enumerate(points) if not number or point[1] != points[number - 1][1]]


def _slope(places: FloatArray, values: FloatArray) -> float:
    """The median of the slopes between all pairs (Sen 1968)."""
    rise, run = values[None, :] - values[:, None], places[None, :] - places[:, None]
    above = np.triu_indices(len(values), 1)
    return float(np.median(rise[above] / run[above])) if len(values) > 1 else 0.0
