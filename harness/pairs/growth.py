"""How far rounding takes two healthy runs, and what it can't do: a deviation that stays on one side.

Two runs of one experiment that differ in rounding part by a factor from iteration to iteration, soon or late, as the
model has it; no bound on how far holds for all models. But the deviations of healthy runs go up and down: what the
weights have parted by shows differently in each batch. A fault pushes the loss to one side. So the mean of some
consecutive deviations, over their scatter from one iteration to the next, tells the two apart, however far they part.

The largest such ratio among 240 pairs of healthy runs, of the ANN and CCNet baselines at fp32 and tf32 (commit
826dbcc), is 3.3; twice that is called. Among as many pairs of the EMANet and OCRNet baselines, which were not looked at
for it, the largest is 1.9 (`benchmarks/pair_verdicts.py` counts both again, and faulty pairs beside them).

How far a pair parts is no part of this: a model of each pair's own growth, from its first deviations on, was measured
(`benchmarks/pair_growth.py`) and lets faulty pairs pass wherever it lets more healthy ones pass than the fixed bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.rules.spread import FLOAT32_RESOLUTION
from harness.values.trace import FloatArray

__all__ = ["COARSEST_ROUNDING", "LARGEST_HEALTHY", "TF32_ROUNDING", "Persistence", "measure_persistence"]

LARGEST_HEALTHY = 6.6
"""Twice the largest ratio of the healthy pairs that it was calibrated on."""

COARSEST_ROUNDING = 2.0**-8
"""bfloat16's, the coarsest that training is done in: a mean deviation below it is called no failure."""

TF32_ROUNDING = 2.0**-11
"""tf32's and float16's: what operands of matrix products keep on most devices."""


@dataclass(frozen=True)
class Persistence:
    """How far a pair's deviations stay on one side.

    Args:
        ratio: the largest mean over a window, over the scatter from one iteration to the next.
        mean: that window's mean deviation, signed, as a logarithm.
        start: the position of the window's first iteration.
        window: its iterations.
        scatter: the standard deviation from one iteration to the next.
        onset: the first position from which on the deviations stay on that side, beyond the scatter.
        onset_latest: the first position from which on they stay beyond the coarsest rounding.
    """

    ratio: float
    mean: float
    start: int
    window: int
    scatter: float
    onset: int
    onset_latest: int

    @property
    def called(self) -> bool:
        """Whether no healthy pair does this."""
        return self.ratio > LARGEST_HEALTHY


def measure_persistence(deviation: FloatArray, resolution: float = 0.0) -> Persistence:
    """Whether deviations stay on one side.

    Args:
        deviation: (T,) log(candidate / reference), finite, T ≥ 5.
        resolution: relative size of a printed unit: scatter below its rounding is not known.
    """
    window = int(np.clip(len(deviation) // 5, 5, 10))
    total = np.concatenate([[0.0], np.cumsum(deviation)])
    means = (total[window:] - total[:-window]) / window
    floor = max(FLOAT32_RESOLUTION, resolution / np.sqrt(12))
    scatter = float(np.sqrt(np.mean(np.diff(deviation) ** 2) / 2 + floor**2))
    at = int(np.argmax(np.abs(means)))
    mean = float(means[at])
    side = np.sign(mean)
    return Persistence(
        ratio=abs(mean) / scatter,
        mean=mean,
        start=at,
        window=window,
        scatter=scatter,
        onset=_stays_from(side * deviation, min(2 * scatter, abs(mean) / 2), at),
        onset_latest=_stays_from(side * deviation, max(COARSEST_ROUNDING, 2 * scatter), at),
    )


def _stays_from(deviation: FloatArray, beyond: float, until: int) -> int:
    """The first position from which on all deviations up to another one are beyond a bound."""
    within = np.flatnonzero(deviation[: until + 1] <= beyond)
    return int(within[-1]) + 1 if len(within) else 0
