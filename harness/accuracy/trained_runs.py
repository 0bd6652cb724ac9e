"""Accuracy alignment: some trained reference runs and some trained candidate runs, and what they can say.

The two-sample t interval of the difference of means, with one spread for both sides, which a healthy port has. What
decides is the interval against a margin that the user states: inside, PASS; outside, FAIL; over its edge, INCONCLUSIVE.
Without a margin a difference that is shown is a FAIL, and none that is shown is INCONCLUSIVE with the smallest one that
these runs could have seen: no test shows that two things are equal. One run a side has no spread, and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy.special import stdtrit

from harness.accuracy.acceptance_margins import Margin
from harness.accuracy.run_plan import POWER, equivalence_power, power_to_see, runs_for, smallest_seen, two_healthy_runs
from harness.values.errors import UsageError
from harness.values.verdict import Finding, Outcome, Status, Verdict

__all__ = ["PUBLISHED_SPREAD", "RULE", "Comparison", "compare_runs", "decide", "judge_runs"]

RULE = "trained accuracy"

PUBLISHED_SPREAD: Final = 0.64
"""Points of mIoU on Cityscapes: the pooled standard deviation of CCNet's three published triples of runs (README of
speedinghzl/CCNet: 77.31 77.91 76.89; 79.74 79.22 78.40; 78.67 80.00 79.83), 6 degrees of freedom, 95 % interval
0.41 … 1.42. It is taken where there is one run a side and nobody says another."""


@final
@dataclass(frozen=True)
class Comparison:
    """Two sides' accuracies, in points.

    Args:
        reference: mean.
        candidate: mean.
        runs: of the reference.
        others: of the candidate.
        spread: standard deviation of a run, pooled over both sides; None for one run a side.
        low: end of the interval of the difference.
        high: its other end; both infinite for one run a side.
        confidence: of the interval.
    """

    reference: float
    candidate: float
    runs: int
    others: int
    spread: float | None
    low: float
    high: float
    confidence: float

    @property
    def difference(self) -> float:
        """Candidate − reference."""
        return self.candidate - self.reference


def compare_runs(reference: Sequence[float], candidate: Sequence[float], confidence: float = 0.95) -> Comparison:
    """The difference of means, and its interval.

    Args:
        reference: accuracies in points, one or more.
        candidate: likewise.
        confidence: of the interval.

    Raises:
        UsageError: a side has no run, or one isn't finite.
    """
    for side, values in (("--reference", reference), ("--candidate", candidate)):
        if not values or not all(math.isfinite(value) for value in values):
            raise UsageError("a side needs finite accuracies", where=side, observed=list(values) or "nothing")
    one, other = np.asarray(reference, float), np.asarray(candidate, float)
    n, m = len(one), len(other)
    means = float(one.mean()), float(other.mean())
    freedom = n + m - 2
    if freedom < 1:
        return Comparison(*means, n, m, None, -math.inf, math.inf, confidence)
    squares = ((one - means[0]) ** 2).sum() + ((other - means[1]) ** 2).sum()
    spread = math.sqrt(float(squares) / freedom)
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * spread * math.sqrt(1 / n + 1 / m)
    difference = means[1] - means[0]
    return Comparison(*means, n, m, spread, difference - half, difference + half, confidence)


def judge_runs(
    name: str,
    reference: Sequence[float],
    candidate: Sequence[float],
    margin: Margin | None,
    *,
    alpha: float = 0.05,
    spread: float | None = None,
) -> Verdict:
    """The verdict on trained accuracies.

    Args:
        name: of the case.
        reference: points of mIoU (0 … 100), or of any other metric.
        candidate: likewise.
        margin: how far the candidate may be off; None where nobody states it.
        alpha: chance of a FAIL of a candidate whose true mean is on the margin (or equal, without one), and of a PASS
            of one that is on it.
        spread: of a run, known from elsewhere, for what is said of too few runs; it decides nothing.

    Raises:
        UsageError: a side has no run, or one isn't finite.
    """
    # Two one-sided tests at α are the interval of 1 − 2α inside the margin; a FAIL is one test at α beyond its edge.
    seen = compare_runs(reference, candidate, 1 - alpha if margin is None else 1 - 2 * alpha)
    said = f"{seen.difference:+.2f} points ({seen.reference:.2f} → {seen.candidate:.2f}, {_runs(seen)})"
    if seen.spread is None:
        return _one_run_a_side(name, seen, said, spread)
    copies = [side for side, values in (("reference", reference), ("candidate", candidate)) if _are_copies(values)]
    if copies:
        reason = (
            f"{said}: the {' and the '.join(copies)}'s runs are copies of each other, and say nothing of the spread"
        )
        return Verdict(name, Status.INCONCLUSIVE, reason, (Finding(RULE, Outcome.INCONCLUSIVE, "mIoU", reason),))
    least = smallest_seen(seen.spread, seen.runs, seen.others, alpha)
    interval = f"{100 * seen.confidence:g} % interval {seen.low:+.2f} … {seen.high:+.2f}"
    eyes = (
        f"a run scatters by {seen.spread:.2f} points; the smallest difference that these runs see in {100 * POWER:g} % "
        f"of cases is {least:.2f} points"
    )
    status, why = decide(seen, margin)
    findings = [
        Finding(
            RULE,
            {Status.PASS: Outcome.PASS, Status.FAIL: Outcome.FAIL}.get(status, Outcome.INCONCLUSIVE),
            "mIoU",
            f"{said}, {interval}: {why}",
            observed=seen.difference / 100,
            allowed=None if margin is None else margin.at(seen.reference) / 100,
            smallest_detectable=least / 100,
        ),
        Finding(RULE, Outcome.INFO, "spread", eyes),
    ]
    if status is Status.INCONCLUSIVE:
        findings.append(Finding(RULE, Outcome.INFO, "runs", _cost(seen, margin, alpha)))
    return Verdict(name, status, f"{said}, {interval}: {why}", tuple(findings))


def decide(seen: Comparison, margin: Margin | None) -> tuple[Status, str]:
    """What the interval says of the margin, and why in a few words; of two runs a side or more in all but one."""
    if margin is None:
        if seen.low > 0 or seen.high < 0:
            return Status.FAIL, f"the candidate's accuracy is {'higher' if seen.low > 0 else 'lower'}"
        return Status.INCONCLUSIVE, "no difference is shown, and without --margin none can be excluded"
    allowed = margin.at(seen.reference)
    words = f"the margin of {allowed:.3g} points"
    if seen.low > -allowed and (margin.one_sided or seen.high < allowed):
        return Status.PASS, f"within {words}"
    if seen.high < -allowed or (seen.low > allowed and not margin.one_sided):
        return Status.FAIL, f"{'below' if seen.high < -allowed else 'above'} {words}"
    shown = "a difference is shown, but " if seen.low > 0 or seen.high < 0 else ""
    return Status.INCONCLUSIVE, f"{shown}the interval lies over the edge of {words}"


def _one_run_a_side(name: str, seen: Comparison, said: str, spread: float | None) -> Verdict:
    given = PUBLISHED_SPREAD if spread is None else spread
    whose = "as three published triples of Cityscapes runs do" if spread is None else "as you say"
    usual = two_healthy_runs(given)
    reason = (
        f"{said}: one run a side says nothing of how far healthy runs part; two that scatter by {given:g} points each, "
        f"{whose}, differ by up to {usual:.1f} points in 95 % of cases"
    )
    finding = Finding(RULE, Outcome.INCONCLUSIVE, "mIoU", reason, observed=seen.difference / 100)
    return Verdict(name, Status.INCONCLUSIVE, reason, (finding,))


def _cost(seen: Comparison, margin: Margin | None, alpha: float) -> str:
    """What it would take to decide."""
    spread = seen.spread or 0.0
    if margin is None:
        return (
            "state how far it may be off: --margin 0.5, or a published rule's name; align plan-accuracy says its cost"
        )
    allowed = margin.at(seen.reference)
    show = runs_for(lambda n: equivalence_power(allowed, spread, n, n, alpha))
    see = runs_for(lambda n: power_to_see(allowed, spread, n, n, alpha))
    return (
        f"at this spread it takes {show or 'more than 10000'} runs a side to show that an equal candidate is within "
        f"{allowed:.3g} points, and {see or 'more than 10000'} to see one that is {allowed:.3g} points off"
    )


def _are_copies(values: Sequence[float]) -> bool:
    """Whether all runs of a side are one: the same checkpoint, given again."""
    return len(values) > 1 and len(set(values)) == 1


def _runs(seen: Comparison) -> str:
    return f"{seen.runs} against {seen.others} run{'s' if seen.others > 1 else ''}"
