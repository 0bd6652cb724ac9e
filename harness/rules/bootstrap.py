"""Block bootstrap: how far a statistic of a time series may be off, when neighbouring iterations depend on each other.

Blocks of consecutive iterations are drawn with replacement, so that the dependence within a block is kept (Künsch, *The
Jackknife and the Bootstrap for General Stationary Observations*, 1989, §2.3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from harness.values.trace import FloatArray, IntArray

__all__ = ["CONFIDENCE", "block_length", "draw_blocks", "interval"]

CONFIDENCE = 0.95
"""Of every interval that is stated about a pair of logs."""

_RESAMPLES, _FEWEST_RESAMPLES = 1000, 40
_MOST_POSITIONS = 1 << 24  # drawn in all
_PORTION = 1 << 20  # positions in memory at once


def block_length(series: FloatArray) -> int:
    """How many consecutive iterations to draw together.

    n^(1/3) is the order that is optimal for the variance of a mean; a series that remembers for longer gets blocks of
    twice its integrated autocorrelation time, up to a quarter of its length.

    Args:
        series: (n,) finite values.
    """
    n = len(series)
    # Padded to twice the length: without it the transform joins the end of the series to its beginning.
    spectrum = np.fft.rfft(series - series.mean(), 2 * n)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2)[: max(2, n // 4)]
    memory = 1.0
    if covariance[0] > 0:
        correlation = covariance[1:] / covariance[0]
        # Independent values correlate by less than this in 95 of 100 lags: from there on noise would be added up.
        faded = correlation <= 2 / math.sqrt(n)
        memory += 2 * float(correlation[: int(np.argmax(faded)) if faded.any() else None].sum())
    return int(np.clip(math.ceil(max(n ** (1 / 3), 2 * memory)), 1, max(1, n // 4)))


def draw_blocks(n: int, block: int) -> Iterator[IntArray]:
    """Resampled positions, the same on every call; in portions, so that memory stays bounded.

    Args:
        n: length of the series.
        block: length of a block.

    Yields:
        (r, n) positions of r resamples; 1000 in all, or fewer where the series is very long.
    """
    rng = np.random.default_rng(20261121)
    left = int(np.clip(_MOST_POSITIONS // n, _FEWEST_RESAMPLES, _RESAMPLES))
    while left > 0:
        portion = min(left, max(1, _PORTION // n))
        left -= portion
        starts = rng.integers(0, n - block + 1, (portion, -(-n // block)))
        yield (starts[:, :, None] + np.arange(block)).reshape(portion, -1)[:, :n]


def interval(statistics: FloatArray) -> tuple[float, float]:
    """The percentile interval of resampled statistics; (R,) → low, high."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(statistics, [tail, 1 - tail])
    return float(low), float(high)
