"""Repeats: more logs of the reference say what healthy runs do, and so what the candidate may do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from harness.pairs.growth import COARSEST_ROUNDING
from harness.pairs.joining import common_iterations, join
from harness.pairs.log import Log, Series
from harness.pairs.printing import printed_unit
from harness.rules.bounded import percent
from harness.rules.relative import from_logarithm
from harness.rules.spread import measure_spread, smooth_over_iterations
from harness.values.trace import FloatArray, IntArray
from harness.values.verdict import Envelope, Finding, Outcome

__all__ = ["FALSE_ALARM_RATE", "Repeats", "distinct_runs", "find_copies", "judge_repeats"]

FALSE_ALARM_RATE = 1e-3
"""Chance that a healthy candidate is called a failure, over all iterations together."""

_NO_DEVIATION = 1e-12
"""What float64 leaves of a difference between equal losses: drawn, it would stretch an axis over ten decades."""

_FEWEST_EQUAL = 5  # common iterations, below which equal values are no sign of a copy


@dataclass(frozen=True, eq=False)
class Repeats:
    """What repeats say of a candidate.

    Args:
        findings: on single iterations, and on means over some of them.
        envelope: the bound at each iteration, and the candidate in it.
        narrowest: the smallest deviation that would have been called at any iteration.
        narrowest_at: where.
        widest: the smallest deviation that would have been called where the repeats see least.
        widest_at: where.
        lasting: the smallest deviation over a window of iterations that would have been called at half of them.
    """

    findings: tuple[Finding, ...]
    envelope: Envelope
    narrowest: float
    narrowest_at: int
    widest: float
    widest_at: int
    lasting: float

    @property
    def failed(self) -> Finding | None:
        """The first finding that failed."""
        return next((finding for finding in self.findings if finding.status is Outcome.FAIL), None)

    @property
    def seen(self) -> str:
        """What would have been seen, and where."""
        return (
            f"what would have been seen: {percent(self.narrowest)} at iteration {self.narrowest_at}, "
            f"{percent(self.widest)} at iteration {self.widest_at}, {percent(self.lasting)} where it lasts"
        )


def find_copies(reference: Log, candidate: Log, repeats: Sequence[Log]) -> str:
    """Which of some logs hold the values of another one, in words; nothing where none does.

    Equal values at another time are no copy: a deterministic device repeats itself.

    Args:
        reference: the trusted side's log.
        candidate: the ported side's log.
        repeats: more logs of the reference.
    """
    named = [("the reference", reference), ("the candidate", candidate)]
    named += [(f"repeat {number}", log) for number, log in enumerate(repeats, 1)]
    for later, (name, log) in enumerate(named[2:], 2):
        for other, earlier in named[:later]:
            if _equal(log.series, earlier.series) and not _at_another_time(log, earlier):
                return f"{name} ({_file(log)}) holds the values of {other} ({_file(earlier)})"
    return ""


def distinct_runs(runs: Sequence[Log]) -> list[Log]:
    """The runs whose values are no other one's: a deterministic device's reruns count once."""
    kept: list[Log] = []
    for log in runs:
        if not any(_equal(log.series, other.series) for other in kept):
            kept.append(log)
    return kept


def _at_another_time(one: Log, other: Log) -> bool:
    return bool(one.clock and other.clock) and one.clock != other.clock


def _equal(one: Series, other: Series) -> bool:
    pair = join(one, other)
    return len(pair) >= _FEWEST_EQUAL and bool(np.array_equal(pair.reference, pair.candidate, equal_nan=True))


def _file(log: Log) -> str:
    return log.path.replace("\\", "/").rstrip("/").split("/")[-1]


def judge_repeats(healthy: Sequence[Series], candidate: Series) -> Repeats | None:
    """Whether the candidate stays where the reference's runs stay; None where they have no iteration in common.

    The bound at an iteration is that of a further healthy run, and at least what another device's rounding may do
    before any update (bfloat16's, 2⁻⁸), and a unit of the last printed digit more: repeats of one device agree better
    than any other device can agree with them.

    Args:
        healthy: k ≥ 2 runs of the reference.
        candidate: the run to judge.
    """
    iterations = common_iterations([*healthy, candidate])
    if not len(iterations):
        return None
    runs = np.stack([_at(series, iterations) for series in healthy])
    values = _at(candidate, iterations)
    spread = smooth_over_iterations(measure_spread(runs))
    unit = np.nanmax([0.0, *(printed_unit(side) for side in (*runs, values))])
    digit = unit / np.maximum(np.abs(spread.center), np.finfo(float).tiny)
    allowed = np.maximum(spread.allowed(len(iterations), FALSE_ALARM_RATE / 2), COARSEST_ROUNDING) + digit
    deviation = spread.deviation(values)
    deviation = np.where(np.abs(deviation) < _NO_DEVIATION, 0.0, deviation)
    above = spread.as_relative(allowed)
    envelope = Envelope("loss", "", iterations, spread.center, above, values, spread.as_relative(deviation))
    single = _find_single(iterations, deviation, allowed, above, envelope.deviation)
    lasting, bound = _find_lasting(iterations, runs, values, digit)
    low, high = int(np.argmin(above)), int(np.argmax(above))
    return Repeats(
        (single, lasting) if lasting else (single,),
        envelope,
        float(above[low]),
        int(iterations[low]),
        float(above[high]),
        int(iterations[high]),
        bound,
    )


def _find_single(
    iterations: IntArray, deviation: FloatArray, allowed: FloatArray, above: FloatArray, relative: FloatArray
) -> Finding:
    violated = ~(np.abs(deviation) <= allowed)
    at = int(np.argmax(violated)) if violated.any() else int(np.argmax(np.abs(deviation) / allowed))
    observed, iteration = float(relative[at]), int(iterations[at])
    side = "above" if observed > 0 else "below"
    distance = f"the loss is {percent(abs(observed))} {side} the reference's runs at iteration {iteration}"
    message = (
        f"{distance}, where healthy runs stay within {percent(float(above[at]))}"
        if violated.any()
        else f"{distance} at its closest to the bound of {percent(float(above[at]))}"
    )
    return Finding(
        "envelope",
        Outcome.FAIL if violated.any() else Outcome.PASS,
        "loss",
        message,
        iteration=iteration,
        observed=observed,
        allowed=float(above[at]),
        smallest_detectable=float(above.min()),
    )


def _find_lasting(
    iterations: IntArray, runs: FloatArray, values: FloatArray, digit: FloatArray
) -> tuple[Finding | None, float]:
    """A deviation that lasts is seen in means over a window, which scatter less than single iterations.

    Returns:
        The finding, None where a side is not positive or the runs are too short; and the bound at half of the windows.
    """
    window = int(np.clip(len(iterations) // 5, 5, 10))
    if len(iterations) < 2 * window or np.any(runs <= 0) or not np.all(values > 0):
        return None, math.inf
    logs = np.log(runs)
    center = logs.mean(axis=0)
    means = [_window_means(one - center, window) for one in logs]
    sigma = np.std(means, axis=0, ddof=1)
    sigma = np.sqrt((sigma**2 + np.median(sigma) ** 2) / 2)  # of k runs alone it is known badly
    looks = len(iterations) / window
    quantile = float(-stdtrit(len(runs) - 1, FALSE_ALARM_RATE / 2 / (2 * looks)))
    bound = np.maximum(quantile * sigma * math.sqrt(1 + 1 / len(runs)), COARSEST_ROUNDING) + float(digit.max())
    mean = _window_means(np.log(values) - center, window)
    violated = np.abs(mean) > bound
    at = int(np.argmax(violated)) if violated.any() else int(np.argmax(np.abs(mean) / bound))
    observed, allowed = from_logarithm(mean[at]), from_logarithm(bound[at])
    first, last = iterations[at], iterations[at + window - 1]
    message = (
        f"the loss is {percent(abs(observed))} {'above' if observed > 0 else 'below'} the "
        f"reference's runs on average over "
        f"iterations {first} … {last}, where healthy runs stay within {percent(allowed)}"
    )
    finding = Finding(
        "lasting deviation",
        Outcome.FAIL if violated.any() else Outcome.PASS,
        "loss",
        message,
        iteration=int(first),
        observed=observed,
        allowed=allowed,
        smallest_detectable=from_logarithm(bound.min()),
    )
    return finding, from_logarithm(float(np.median(bound)))


def _window_means(values: FloatArray, window: int) -> FloatArray:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((total[window:] - total[:-window]) / window)


def _at(series: Series, iterations: IntArray) -> FloatArray:
    return series.values[np.searchsorted(series.iterations, iterations)]
