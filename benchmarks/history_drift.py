"""How often the trend test of `align history` calls a healthy history, and how large a drift it sees.

    python benchmarks/history_drift.py [--histories 2000] [--series 100] [--builds 40]

A history is 100 series over 40 builds. Healthy ones: noise of a normal, of a heavy-tailed (Student's t with 2 degrees
of freedom) and of a skewed (log-normal) distribution; plateaus, as a deterministic device has, which change at a random
build; and one value shared by all series besides their own. Drifting ones: one of the series moves by a part of its
standard deviation a build, or steps once. The share of histories with any alarm is counted, with its 95 % interval
(Clopper and Pearson 1934).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.stats import beta

from harness.history.drift import FALSE_ALARM_RATE, find_drifts
from harness.values.trace import FloatArray

Draw = Callable[[np.random.Generator, tuple[int, int]], FloatArray]


def plateaus(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """A new level at each build with a chance of one in two, the same to the bit until the next."""
    levels = rng.standard_normal(shape)
    at = np.maximum.accumulate(np.where(rng.random(shape) < 0.5, np.arange(shape[1])[None, :], 0), axis=1)
    return np.take_along_axis(levels, at, axis=1)


def shared(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Half of the noise is the build's, and the same for all series."""
    return rng.standard_normal(shape) + rng.standard_normal((1, shape[1]))


HEALTHY: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "heavy tails": lambda rng, shape: rng.standard_t(2, shape),
    "skewed": lambda rng, shape: rng.lognormal(0, 1, shape),
    "plateaus": plateaus,
    "half shared": shared,
}


def interval(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a proportion."""
    low = float(beta.ppf(0.025, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, of - hits)) if hits < of else 1.0
    return low, high


def count(draw: Callable[[np.random.Generator], FloatArray], histories: int, seed: int, wanted: str = "") -> int:
    """Histories with an alarm; of one series where it is named."""
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(histories):
        series = {str(n): list(enumerate(row.tolist())) for n, row in enumerate(draw(rng))}
        found, _ = find_drifts(series, FALSE_ALARM_RATE)
        hits += any(not wanted or drift.name == wanted for drift in found)
    return hits


def main() -> None:
    """Count, and say the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=2000)
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--builds", type=int, default=40)
    parser.add_argument("--drifting", type=int, default=200, help="drifting histories of each kind")
    asked = parser.parse_args()
    shape = (asked.series, asked.builds)
    print(f"{shape[0]} series x {shape[1]} builds, stated rate {FALSE_ALARM_RATE:g}")
    for name, draw in HEALTHY.items():
        hits = count(lambda rng, draw=draw: draw(rng, shape), asked.histories, 1)
        low, high = interval(hits, asked.histories)
        print(f"| healthy, {name} | {hits} of {asked.histories} | {100 * low:.2f} to {100 * high:.2f} % |", flush=True)
    for slope in (0.02, 0.04, 0.06, 0.08, 0.1):

        def drifting(rng: np.random.Generator, slope: float = slope) -> FloatArray:
            values = rng.standard_normal(shape)
            values[0] += slope * np.arange(shape[1])
            return values

        hits = count(drifting, asked.drifting, 2, "0")
        print(f"| {slope:g} standard deviations a build | {hits} of {asked.drifting} | |", flush=True)
    for step in (1.0, 2.0, 3.0):

        def stepping(rng: np.random.Generator, step: float = step) -> FloatArray:
            values = rng.standard_normal(shape)
            values[0, shape[1] // 2 :] += step
            return values

        hits = count(stepping, asked.drifting, 3, "0")
        print(f"| one step of {step:g} standard deviations | {hits} of {asked.drifting} | |", flush=True)


if __name__ == "__main__":
    main()
