"""How often the decisions on two bare logs are right, on pairs whose truth is known.

    python benchmarks/pair_calibration.py [--pairs 400]

A pair's losses fall alike; their ups and downs of 10 % consist of a part that both sides share, as runs that see the
same batches do, and a part of each side's own. Nothing in the rules was fitted to these figures: the boundary of a half
and the confidence of 95 % are set in `harness/pairs`.
"""

from __future__ import annotations

import argparse

import numpy as np

from harness.pairs.deviation import measure_deviation
from harness.pairs.judge import judge_pair
from harness.pairs.log import Log, Series
from harness.rules.dependence import Data, measure_dependence
from harness.values.trace import FloatArray

_LENGTHS = (25, 50, 100, 200)
_SHARES = (0.0, 0.25, 0.4, 0.6, 0.75, 0.9)
_MEMORIES = (0.0, 0.5, 0.8)
_BIASES = (0.0, 0.02, 0.05, 0.1, -0.1, 0.2)


def main() -> None:
    """Simulate, and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=400)
    pairs = parser.parse_args().pairs
    rng = np.random.default_rng(0)
    print_data_decisions(rng, pairs)
    print_interval_coverage(rng, pairs)
    print_verdicts(rng, pairs)


def print_data_decisions(rng: np.random.Generator, pairs: int) -> None:
    """How often "the same data" and "other data" are said, by how much the two sides share."""
    print(f"said of {pairs} pairs: same data / other data, by iterations (columns) and share of shared variance (rows)")
    print("share " + "".join(f"{n:>16}" for n in _LENGTHS))
    for share in _SHARES:
        cells = []
        for n in _LENGTHS:
            said = [measure_dependence(*simulate(rng, n, share)).data for _ in range(pairs)]
            cells.append(f"{said.count(Data.SAME) / pairs:>7.1%} /{said.count(Data.OTHER) / pairs:>7.1%}")
        print(f"{share:<6}" + "".join(cells))


def print_interval_coverage(rng: np.random.Generator, pairs: int) -> None:
    """How often the 95 % interval of the bias holds the truth, by how long deviations remember."""
    print("\n95 % interval of the bias holds the truth, by iterations (columns) and autocorrelation (rows)")
    print("memory" + "".join(f"{n:>10}" for n in _LENGTHS))
    for memory in _MEMORIES:
        cells = []
        for n in _LENGTHS:
            held = 0
            for _ in range(pairs):
                found = measure_deviation(np.ones(n), np.exp(0.05 * remembering(rng, n, memory)))
                held += found.bias_low <= 0 <= found.bias_high
            cells.append(f"{held / pairs:>10.1%}")
        print(f"{memory:<6}" + "".join(cells))


def print_verdicts(rng: np.random.Generator, pairs: int) -> None:
    """What becomes of pairs of 100 iterations that saw the same data and start alike, by the candidate's bias."""
    print("\nverdicts on pairs of 100 iterations, the same data (share 0.9) and start, by bias from iteration 5 on")
    for bias in _BIASES:
        statuses = []
        for _ in range(pairs):
            reference, candidate = simulate(rng, 100, 0.9)
            candidate[:2] = reference[:2]
            candidate[5:] *= 1 + bias
            statuses.append(judge_pair("pair", as_log(reference), as_log(candidate)).status.value)
        counts = ", ".join(f"{name} {statuses.count(name) / pairs:.1%}" for name in sorted(set(statuses)))
        print(f"bias {bias:+.0%}: {counts}")


def simulate(rng: np.random.Generator, n: int, share: float) -> tuple[FloatArray, FloatArray]:
    """Two (n,) losses whose ups and downs have the given share of their variance in common."""
    trend = np.log(4) - np.arange(n) / 80
    shared = np.sqrt(share) * rng.standard_normal(n)
    own = np.sqrt(1 - share) * rng.standard_normal((2, n))
    one, other = np.exp(trend + 0.1 * (shared + own))
    return one, other


def remembering(rng: np.random.Generator, n: int, memory: float) -> FloatArray:
    """(n,) values of unit variance that follow their predecessor with the given autocorrelation."""
    values = rng.standard_normal(n)
    for at in range(1, n):
        values[at] = memory * values[at - 1] + np.sqrt(1 - memory**2) * values[at]
    return values


def as_log(values: FloatArray) -> Log:
    """A log that prints six decimals."""
    series = Series(np.arange(len(values), dtype=np.int64), np.round(values, 6))
    return Log("simulated", "CSV", "loss", 0, series, {0: series}, ("loss",))


if __name__ == "__main__":
    main()
