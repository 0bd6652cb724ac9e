"""How many trainings a wish costs, and what some trainings could have seen: exact, by Student's t.

Two sides of n and m runs, whose accuracies scatter alike with standard deviation σ. A difference is looked for by the
two-sample t test; equivalence within ±δ is shown by two one-sided tests (Schuirmann 1987). Powers are integrals over
the distribution of the estimated σ, with no normal approximation: the first is the noncentral t distribution's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr, stdtrit
from scipy.stats import chi2

from harness.values.errors import UsageError

__all__ = [
    "ALPHA",
    "MOST_RUNS",
    "POWER",
    "equivalence_power",
    "power_to_see",
    "runs_for",
    "smallest_seen",
    "two_healthy_runs",
]

ALPHA = 0.05
POWER = 0.8
MOST_RUNS = 10_000
"""Of a side: a wish that costs more isn't counted out."""


def power_to_see(difference: float, spread: float, runs: int, others: int, alpha: float = ALPHA) -> float:
    """The chance that a two-sided t test sees a true difference.

    Args:
        difference: in the unit of the spread.
        spread: standard deviation of a run, > 0.
        runs: of one side.
        others: of the other; two or more in all beyond one a side.
        alpha: chance of a difference that isn't there.
    """
    freedom = runs + others - 2
    if freedom < 1:
        return 0.0
    critical = float(stdtrit(freedom, 1 - alpha / 2))
    shift = abs(difference) / (spread * math.sqrt(1 / runs + 1 / others))
    bounds = critical * _estimated_spread(freedom)
    return float((ndtr(shift - bounds) + ndtr(-shift - bounds)).mean())


def equivalence_power(
    margin: float, spread: float, runs: int, others: int, alpha: float = ALPHA, difference: float = 0.0
) -> float:
    """The chance that two one-sided tests show equivalence within ±margin.

    The interval of 1 − 2α must lie inside: |d| + t·s·√(1/n + 1/m) < margin. Integrated over s, whose square is χ².

    Args:
        margin: δ.
        spread: σ.
        runs: of one side.
        others: of the other.
        alpha: of each of the two tests.
        difference: the true one.
    """
    freedom = runs + others - 2
    if freedom < 1:
        return 0.0
    root = math.sqrt(1 / runs + 1 / others)
    critical = float(stdtrit(freedom, 1 - alpha))
    room = margin - critical * spread * _estimated_spread(freedom) * root
    scale = spread * root
    inside = ndtr((room - difference) / scale) - ndtr((-room - difference) / scale)
    return float(np.where(room > 0, inside, 0.0).mean())


@lru_cache(maxsize=256)
def _estimated_spread(freedom: int) -> npt.NDArray[np.float64]:
    """s/σ at the middles of 4,000 equal shares of its distribution: a mean over them is an integral, to about 1e-4.

    scipy's noncentral t distribution gives NaN for few degrees of freedom, and far out.
    """
    middles = (np.arange(4000) + 0.5) / 4000
    estimated: npt.NDArray[np.float64] = np.sqrt(chi2.ppf(middles, freedom) / freedom)
    return estimated


def runs_for(power: Callable[[int], float], wanted: float = POWER) -> int | None:
    """The smallest number of runs a side whose power is enough; None where it is more than MOST_RUNS."""
    low, high = 1, 2
    while power(high) < wanted:
        low, high = high, 2 * high
        if low >= MOST_RUNS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= wanted else (middle, high)
    return high if high <= MOST_RUNS else None


def smallest_seen(spread: float, runs: int, others: int, alpha: float = ALPHA, wanted: float = POWER) -> float:
    """The smallest true difference that the t test sees with the wanted power; infinite for one run a side."""
    if runs + others - 2 < 1:
        return math.inf
    if spread == 0:
        return 0.0

    def missing(size: float) -> float:
        return power_to_see(size, 1.0, runs, others, alpha) - wanted

    upper = 4.0
    while missing(upper) < 0:
        upper *= 2
    return spread * float(brentq(missing, 0.0, upper, xtol=1e-10))


def two_healthy_runs(spread: float, confidence: float = 0.95) -> float:
    """By how much two healthy runs differ at most, with this confidence, where a run's spread is known.

    Raises:
        UsageError: the spread is no positive number.
    """
    if not 0 < spread < math.inf:
        raise UsageError("a spread is a positive number of points", where="--spread", observed=spread)
    return float(stdtrit(1e9, (1 + confidence) / 2)) * math.sqrt(2) * spread
