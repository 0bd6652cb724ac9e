"""Deviation: how far the candidate is from the reference, both ways, and what this pair could have shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from harness.rules.bootstrap import CONFIDENCE, block_length, draw_blocks, interval
from harness.rules.relative import from_logarithm
from harness.values.trace import FloatArray

__all__ = ["Deviation", "as_relative", "is_logarithmic", "measure_deviation", "relative_deviation"]

_POWER = 0.9


@dataclass(frozen=True)
class Deviation:
    """Two-sided bias and spread of a candidate around its reference, relative: 0.01 is 1 %.

    Args:
        bias: mean deviation, signed.
        bias_low: lower end of its 95 % interval.
        bias_high: upper end.
        spread: root mean square of the deviations around the bias.
        spread_low: lower end of its 95 % interval.
        spread_high: upper end.
        noise: the deviations' standard deviation from one iteration to the next: what this pair itself shows as noise.
        detectable: the smallest constant |bias| that would be told from zero, with 90 % chance.
        largest: the deviation that is largest in size, signed.
        largest_at: its position.
    """

    bias: float
    bias_low: float
    bias_high: float
    spread: float
    spread_low: float
    spread_high: float
    noise: float
    detectable: float
    largest: float
    largest_at: int


def is_logarithmic(reference: FloatArray, candidate: FloatArray) -> bool:
    """Whether both sides are positive throughout, so that deviations are those of logarithms."""
    with np.errstate(invalid="ignore"):
        return bool(np.all(reference > 0) and np.all(candidate > 0))


def as_relative(deviation: float, *, logarithmic: bool) -> float:
    """A deviation as people read it: 0.01 is 1 % above the reference."""
    return from_logarithm(deviation) if logarithmic else float(deviation)


def relative_deviation(reference: FloatArray, candidate: FloatArray) -> FloatArray:
    """(T,) log(candidate / reference); where a side is somewhere not positive, (candidate − reference) over the
    reference's mean size.
    """  # noqa: D205  # one sentence
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if is_logarithmic(reference, candidate):
            return np.log(candidate) - np.log(reference)
        scale = max(float(np.abs(reference).mean()), float(np.finfo(float).tiny))
        return (candidate - reference) / scale


def measure_deviation(reference: FloatArray, candidate: FloatArray) -> Deviation:
    """Bias, spread and noise of a pair.

    Args:
        reference: (T,) finite values, T ≥ 2.
        candidate: (T,) finite values at the same iterations.
    """
    deviation = relative_deviation(reference, candidate)
    block = block_length(deviation)
    drawn = [(deviation[at].mean(axis=1), deviation[at].std(axis=1)) for at in draw_blocks(len(deviation), block)]
    means, spreads = (np.concatenate(portions) for portions in zip(*drawn, strict=True))
    error = float(means.std())
    free = max(len(deviation) / block - 1, 1.0)  # the mean of as many blocks as there are, not of as many iterations
    quantiles = stdtrit(free, [(1 + CONFIDENCE) / 2, _POWER])
    largest_at = int(np.argmax(np.abs(deviation)))
    bias = float(deviation.mean())
    logarithmic = is_logarithmic(reference, candidate)

    def read(value: float) -> float:
        return as_relative(value, logarithmic=logarithmic)

    return Deviation(
        read(bias),
        read(bias - quantiles[0] * error),
        read(bias + quantiles[0] * error),
        float(deviation.std()),
        *interval(spreads),
        noise=float(np.diff(deviation).std() / np.sqrt(2)),
        detectable=read(quantiles.sum() * error),
        largest=read(deviation[largest_at]),
        largest_at=largest_at,
    )
