"""How far healthy runs of the same experiment part, and how far the next one may.

k healthy runs give, at each iteration, a center and a standard deviation that are themselves uncertain. A further
healthy run deviates from the center by σ√(1 + 1/k) in standard deviation, and with σ estimated from k runs the ratio
follows Student's t with k − 1 degrees of freedom; so the bound follows from k, from how often one looks, and from the
false-alarm rate asked for (Hahn & Meeker, *Statistical Intervals*, 1991, §4.7, prediction interval for one further
observation; Bonferroni over the looks). Deviations are those of logarithms, because rounding grows by factors; signals
that are not positive are compared on their own scale instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.rules.relative import from_logarithms
from harness.values.trace import BoolArray, FloatArray, IntArray

__all__ = [
    "FLOAT32_RESOLUTION",
    "Spread",
    "measure_spread",
    "pool_with_next",
    "smooth_over_iterations",
    "spread_where",
    "stack_spreads",
]

FLOAT32_RESOLUTION = 2.0**-22
"""Two spacings of float32, relative: a loss or a norm is a sum of many float32 terms, and known no better than to a few
roundings of it, however well the healthy runs agree."""


@dataclass(frozen=True, eq=False)
class Spread:
    """What k healthy runs say about a signal at each look.

    Args:
        center: (…) mean of the healthy runs, geometric where ``logarithmic``.
        sigma: (…) relative standard deviation of one healthy run; infinite where they have no value, so that there is
            nothing to compare a candidate with.
        repeats: k.
        logarithmic: (…) whether deviations are those of logarithms.
        scale: (…) what a deviation is relative to where it is not logarithmic.
        freedom: (…) degrees of freedom of ``sigma``.
    """

    center: FloatArray
    sigma: FloatArray
    repeats: int
    logarithmic: np.ndarray
    scale: FloatArray
    freedom: FloatArray | float

    def deviation(self, candidate: FloatArray) -> FloatArray:
        """Signed relative deviation of a further run from the center, in the units of ``sigma``.

        Args:
            candidate: (…) its values.

        Returns:
            (…) log(candidate / center), or (candidate − center) / scale; −inf for a value that should be positive and
            is not; NaN for NaN; 0 where there is nothing to compare with.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            positive = np.where(candidate > 0, candidate, np.where(np.isnan(candidate), np.nan, 0.0))
            logarithm = np.log(positive / self.center)
            linear = (candidate - self.center) / self.scale
        return np.where(np.isinf(self.sigma), 0.0, np.where(self.logarithmic, logarithm, linear))

    def allowed(self, looks: int, false_alarm_rate: float) -> FloatArray:
        """The largest |deviation| that a healthy run has, but for ``false_alarm_rate`` over all the looks together.

        Args:
            looks: how many values are compared with a bound.
            false_alarm_rate: chance that a healthy run violates any of them, in (0, 1).

        Returns:
            (…) bound, in the units of ``sigma``.
        """
        from scipy.special import stdtrit  # here: each run's process imports this file, and judges nothing

        quantile = -stdtrit(self.freedom, false_alarm_rate / (2 * max(looks, 1)))  # of Student's t, by symmetry
        return self.sigma * np.asarray(quantile, dtype=np.float64) * math.sqrt(1 + 1 / self.repeats)

    def as_relative(self, deviation: FloatArray) -> FloatArray:
        """Deviations as people read them: 0.01 is 1 % above the center."""
        return np.where(self.logarithmic, from_logarithms(deviation), deviation)

    def relative_at(self, at: tuple[np.ndarray, ...], deviation: FloatArray) -> FloatArray:
        """(n,) deviations at n places as people read them, where ``at`` indexes those places."""
        return np.where(self.logarithmic[at], from_logarithms(deviation), deviation)

    def head(self, looks: int) -> Spread:
        """The first ``looks`` of the last axis."""
        if looks == self.center.shape[-1]:
            return self
        return self._map(lambda values: values[..., :looks])

    def transposed(self) -> Spread:
        """Of shape (P, S) where this is of (S, P)."""
        return self._map(np.transpose)

    def _map(self, change: Callable[[np.ndarray], np.ndarray]) -> Spread:
        return Spread(
            center=change(self.center),
            sigma=change(self.sigma),
            repeats=self.repeats,
            logarithmic=change(self.logarithmic),
            scale=change(self.scale),
            freedom=change(np.broadcast_to(self.freedom, self.sigma.shape)),
        )


def measure_spread(healthy: FloatArray, resolution: FloatArray | float = 0.0) -> Spread:
    """The spread of healthy runs.

    Args:
        healthy: (k, …) values of k runs.
        resolution: (…) absolute size below which a value is rounding noise of something larger: there a deviation is
            relative to this size, and σ is at least as large.

    Returns:
        The spread, of shape (…).
    """
    repeats = len(healthy)
    logarithmic = np.all(healthy > np.maximum(resolution, 0.0), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(logarithmic, healthy, 1.0))
    mean = healthy.mean(axis=0)
    largest = np.abs(healthy).max(initial=0.0)
    # A mean next to zero is no measure: a value is known no better than to a rounding of the largest there is.
    scale = np.maximum(np.maximum(np.abs(mean), resolution), max(FLOAT32_RESOLUTION * largest, np.finfo(float).tiny))
    sigma = np.where(logarithmic, logs.std(axis=0, ddof=1), healthy.std(axis=0, ddof=1) / scale)
    known = np.asarray(resolution) / scale
    return Spread(
        center=np.where(logarithmic, np.exp(logs.mean(axis=0)), mean),
        sigma=np.maximum(sigma, np.where(logarithmic, FLOAT32_RESOLUTION, np.maximum(known, FLOAT32_RESOLUTION))),
        repeats=repeats,
        logarithmic=logarithmic,
        scale=scale,
        freedom=repeats - 1,
    )


def spread_where(has_value: BoolArray, spread: Spread) -> Spread:
    """A spread over every look from that of the looks at which healthy runs have a value.

    Args:
        has_value: (T,) whether they have one.
        spread: of shape (t,): of the looks where they do.
    """

    def placed(values: np.ndarray | float, otherwise: float) -> np.ndarray:
        whole = np.full(has_value.shape, otherwise, dtype=np.asarray(values).dtype)
        whole[has_value] = values
        return whole

    return Spread(
        center=placed(spread.center, 1.0),
        sigma=placed(spread.sigma, np.inf),
        repeats=spread.repeats,
        logarithmic=placed(spread.logarithmic, True),
        scale=placed(spread.scale, 1.0),
        freedom=placed(np.broadcast_to(spread.freedom, spread.sigma.shape).astype(float), spread.repeats - 1),
    )


def smooth_over_iterations(spread: Spread, piece_starts: Sequence[int] | IntArray = (0,)) -> Spread:
    """The same spread with σ pooled over neighbouring iterations, as chaos grows smoothly and k runs are few.

    The window at iteration t of a piece reaches min(10, t/3) to either side within it: none at its start, where σ grows
    fastest. The degrees of freedom stay k − 1, because neighbouring iterations of a run are not independent.

    Args:
        spread: of shape (T,).
        piece_starts: the places at which pieces of the runs begin, each from start weights, 0 first.
    """
    pieces = np.split(spread.sigma**2, np.asarray(piece_starts)[1:])
    pooled = np.concatenate([_pooled(variance) for variance in pieces])
    sigma = np.maximum(np.sqrt(pooled), FLOAT32_RESOLUTION)
    return replace(spread, sigma=sigma)


def _pooled(variance: FloatArray) -> FloatArray:
    """(t,) means of one piece's variances over the windows of ``smooth_over_iterations``."""
    total = np.concatenate([[0.0], np.cumsum(variance)])
    t = np.arange(len(variance))
    reach = np.minimum(10, t // 3)
    low, high = t - reach, np.minimum(t + reach, len(variance) - 1)
    pooled: FloatArray = (total[high + 1] - total[low]) / (high - low + 1)
    return pooled


def pool_with_next(spread: Spread, last_rows: Sequence[int] | IntArray = ()) -> Spread:
    """The same spread, with each row's variance at least the mean of its own and the next row's.

    Where rounding is as fine as float32's, healthy runs part by events: an activation next to zero ends on its other
    side. When one comes is chance. In a further run it may come before it came in any of the k runs, and how much it
    moves is known from the next row. A mean, as over the windows of ``smooth_over_iterations``; where the next row
    counts, so do its degrees of freedom, if they are fewer. An earlier row isn't asked: what has grown until a row is
    in that row's own variance. Nor is a next row whose deviations are relative to something else.

    Args:
        spread: of shape (S, P), its rows in the order of the iterations.
        last_rows: those behind which a piece begins anew from start weights; the last of all is one too.
    """
    following = np.minimum(np.arange(len(spread.sigma)) + 1, len(spread.sigma) - 1)
    following[np.asarray(last_rows, np.int64)] = last_rows
    variance, freedom = spread.sigma**2, np.broadcast_to(spread.freedom, spread.sigma.shape)
    says = (spread.logarithmic == spread.logarithmic[following]) & np.isfinite(variance[following])
    larger = says & (variance[following] > variance)
    return replace(
        spread,
        sigma=np.sqrt(np.where(larger, (variance + variance[following]) / 2, variance)),
        freedom=np.where(larger, np.minimum(freedom, freedom[following]), freedom),
    )


def stack_spreads(spreads: Sequence[Spread]) -> Spread:
    """Spreads of one shape as one spread with a leading axis, each with the scale of its own signal.

    Args:
        spreads: n ≥ 1 spreads of (…) and of the same k.

    Returns:
        The spread, of shape (n, …).
    """

    def stacked(name: str) -> np.ndarray:
        return np.stack([np.broadcast_to(getattr(spread, name), spread.sigma.shape) for spread in spreads])

    return Spread(
        center=stacked("center"),
        sigma=stacked("sigma"),
        repeats=spreads[0].repeats,
        logarithmic=stacked("logarithmic"),
        scale=stacked("scale"),
        freedom=stacked("freedom"),
    )
