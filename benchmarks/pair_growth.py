"""Whether a pair's own growth could stand in for the fixed bound of a PASS: measured, and decided against.

    python benchmarks/pair_growth.py [--seeds 8]

The model: rounding starts at a pair's own first deviations (root mean square of the first five) and grows by at most a
factor an iteration. A pair would pass where its first deviations are within tf32's rounding, its ratio (see
`harness/pairs/growth.py`) is no larger than any healthy pair's, and no deviation lies above `A · first · growth ** t`.
`A` and `growth` are the least that 95 % of the healthy pairs of the first half of the seeds keep, of tf32 and float32
alike; what is printed is counted on the other half, for several bounds on the largest deviation besides.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from pair_verdicts import FAULTS, HEALTHY, Variant, train, with_interval

from harness.pairs.deviation import relative_deviation
from harness.pairs.growth import LARGEST_HEALTHY, TF32_ROUNDING, measure_persistence
from harness.values.trace import FloatArray

_FIRST = 5
_DIGITS = 6
_GROWTHS = np.linspace(1.0, 1.2, 41)
_BOUNDS = {"2^-11": TF32_ROUNDING, "2^-8": 2.0**-8, "1 %": 0.01, "5 %": 0.05}


def main() -> None:
    """Train, calibrate on the first half, count on the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    healthy, faulty = pairs(seeds, HEALTHY), pairs(seeds, FAULTS)
    half = seeds // 2
    fewer = [one for name in healthy for one in healthy[name][:half] if name != "bfloat16"]
    growth, factor = calibrate(fewer)
    print(f"growth {growth:.3f} an iteration, {factor:.3g} times the first deviations ({len(fewer)} pairs)\n")
    print("| largest deviation | healthy that pass | faulty that pass | among them |\n|---|---|---|---|")
    for name, bound in _BOUNDS.items():
        passed = [passes(one, growth, factor, bound) for kind in healthy for one in healthy[kind][half:]]
        missed = {kind: sum(passes(one, growth, factor, bound) for one in faulty[kind][half:]) for kind in faulty}
        count = sum(len(faulty[kind][half:]) for kind in faulty)
        worst = ", ".join(f"{kind} ({hits})" for kind, hits in missed.items() if hits)
        cells = [f"{with_interval(sum(passed), len(passed))} of {len(passed)}"]
        cells.append(f"{with_interval(sum(missed.values()), count)} of {count}")
        print(f"| {name} | {' | '.join(cells)} | {worst or 'none'} |")


def pairs(seeds: int, variants: dict[str, Variant]) -> dict[str, list[FloatArray]]:
    """(100,) deviations of each variant from a healthy run, as six printed digits show them, a seed each."""
    found: dict[str, list[FloatArray]] = {name: [] for name in variants}
    for seed in range(seeds):
        reference = np.round(train(seed, Variant()), _DIGITS)
        for name, variant in variants.items():
            found[name].append(relative_deviation(reference, np.round(train(seed, variant), _DIGITS)))
    return found


def first_deviations(deviation: FloatArray) -> float:
    """Root mean square of the first five, and at least a printed digit."""
    return max(float(np.sqrt(np.mean(deviation[:_FIRST] ** 2))), 10.0**-_DIGITS)


def calibrate(healthy: list[FloatArray]) -> tuple[float, float]:
    """The growth and the factor that 95 % of some healthy pairs keep, with the lowest bound at the end."""
    sizes = [np.abs(one) / first_deviations(one) for one in healthy]
    best = (1.0, np.inf, np.inf)
    for growth in _GROWTHS:
        powers = growth ** np.arange(len(sizes[0]))
        factor = float(np.quantile([np.max(size / powers) for size in sizes], 0.95))
        best = min(best, (float(growth), factor, factor * powers[-1]), key=lambda one: one[2])
    return best[0], best[1]


def passes(deviation: FloatArray, growth: float, factor: float, bound: float) -> bool:
    """Whether a pair would pass by the model."""
    first = first_deviations(deviation)
    if not np.isfinite(deviation).all() or first > TF32_ROUNDING or np.abs(deviation).max() > bound:
        return False
    if measure_persistence(deviation, 10.0**-_DIGITS).ratio > LARGEST_HEALTHY / 2:
        return False
    return bool(np.all(np.abs(deviation) <= factor * first * growth ** np.arange(len(deviation))))


if __name__ == "__main__":
    main()
