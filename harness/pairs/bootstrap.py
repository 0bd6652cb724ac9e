"""Block bootstrap: how far a statistic of a time series may be off, when neighbouring iterations depend on each other.

Blocks of consecutive iterations are drawn with replacement, so that the dependence within a block is kept (Künsch, *The
Jackknife and the Bootstrap for General Stationary Observations*, 1989, §2.3).
"""

from __future__ import annotations

import math

import numpy as np

from harness.values.trace import FloatArray, IntArray

__all__ = ["CONFIDENCE", "block_length", "draw_blocks", "interval"]

CONFIDENCE = 0.95
"""Of every interval that is stated about a pair of logs."""

_RESAMPLES = 1000
_LARGEST_DRAW = 1 << 24  # numbers in memory at once


def block_length(series: FloatArray) -> int:
    """How many consecutive iterations to draw together.

    n^(1/3) is the order that is optimal for the variance of a mean; a series that remembers for longer gets blocks of
    twice its integrated autocorrelation time, up to a quarter of its length.

    Args:
        series: (n,) finite values.
    """
    n = len(series)
    centered = series - series.mean()
    variance = float(centered @ centered)
    memory = 1.0
    if variance > 0:
        for lag in range(1, max(2, n // 4)):
            correlation = float(centered[lag:] @ centered[:-lag]) / variance
            if correlation <= 2 / math.sqrt(n):
                break
            memory += 2 * correlation
    return int(np.clip(math.ceil(max(n ** (1 / 3), 2 * memory)), 1, max(1, n // 4)))


def draw_blocks(n: int, block: int) -> IntArray:
    """Resampled positions, the same on every call.

    Args:
        n: length of the series.
        block: length of a block.

    Returns:
        (R, n) positions, R = 1000, or fewer where the series is very long.
    """
    resamples = int(np.clip(_LARGEST_DRAW // max(n, 1), 40, _RESAMPLES))
    starts = np.random.default_rng(20261121).integers(0, n - block + 1, (resamples, -(-n // block)))
    return (starts[:, :, None] + np.arange(block)).reshape(resamples, -1)[:, :n]


def interval(statistics: FloatArray) -> tuple[float, float]:
    """The percentile interval of resampled statistics; (R,) → low, high."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(statistics, [tail, 1 - tail])
    return float(low), float(high)
