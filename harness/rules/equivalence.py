"""Equivalence: the loss is shown to be the reference's, on average over the run, within ±δ.

The other rules look for a difference, and a rule that looks with poor eyes finds none. This one turns the burden
around, with two one-sided tests (Schuirmann, "A comparison of the two one-sided tests procedure and the power approach
for assessing the equivalence of average bioavailability", *Journal of Pharmacokinetics and Biopharmaceutics* 15 (1987),
657-680): the mean deviation is within ±δ where its 90 % interval is, at a 5 % chance of saying so wrongly.

The deviations are paired, candidate − center at each iteration, in logarithms. Their mean scatters in two ways, and the
wider one makes the interval: over the iterations of the candidate's own run (moving-block bootstrap, as neighbouring
iterations depend on each other), and between runs, as healthy runs' own means do.

δ is the 5 % that the field's own rule allows of the mean relative error, taken in both directions. It is no bound on
what a fault may do; the other rules' bounds are far tighter. It is the most that a training may be off on average and
still be called the same by anyone, so a reference whose own runs scatter by as much can't show equivalence at all:
that is INCONCLUSIVE, and no failure of the candidate's. It fails only outside ±δ and outside of what healthy runs do;
the second alone keeps its false alarms within their share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import stdtrit

from harness.rules.bootstrap import block_length, draw_blocks
from harness.rules.bounded import percent
from harness.rules.envelope import signal_spread
from harness.rules.legacy import LARGEST_MEAN_RELATIVE_ERROR
from harness.rules.relative import from_logarithm
from harness.values.trace import FloatArray, IntArray, Trace
from harness.values.verdict import Finding, Outcome

__all__ = ["LARGEST_DEVIATION", "MINIMUM_ITERATIONS", "RULE", "EquivalenceRule"]

RULE = "equivalence"

LARGEST_DEVIATION = math.log1p(LARGEST_MEAN_RELATIVE_ERROR)
"""δ, in logarithms: a factor of 1.05 up or down."""

MINIMUM_ITERATIONS = 12
"""From here on four blocks of n^(1/3) iterations fit: with fewer, a run's own scatter can't be resampled."""

_CONFIDENCE = 0.95
"""Of each of the two one-sided tests."""


class EquivalenceRule:
    """What healthy runs' mean deviations are, computed once.

    Args:
        healthy: k runs of the reference, each of ``planned`` iterations or more.
        planned: iterations T of the candidates to come.
        tier: whose ensemble ``healthy`` is, for the finding.
        false_alarm_rate: chance that a healthy run fails this rule.
    """

    def __init__(self, healthy: Sequence[Trace], planned: int, *, tier: str, false_alarm_rate: float) -> None:
        self._tier = tier
        self._planned = planned
        self._spread = signal_spread(healthy, "loss", planned)
        means = np.array([self._spread.deviation(run.loss[:planned]).mean() for run in healthy])
        free = len(healthy) - 1
        between = float(means.std(ddof=1)) * math.sqrt(1 + 1 / len(healthy))  # of a further run's mean
        self._between = float(stdtrit(free, _CONFIDENCE)) * between
        self._healthy = float(-stdtrit(free, false_alarm_rate / 2)) * between
        self._last = int(healthy[0].iterations[planned - 1]) if planned else None

    def judge(self, candidate: Trace) -> list[Finding]:
        """One finding on the loss; none on a run that has not had its T iterations.

        Args:
            candidate: the run to judge.

        Returns:
            PASS where the mean deviation is shown to be within ±δ; FAIL where it is shown to be outside, and healthy
            runs' are not, or where the loss is somewhere not finite or not positive; INCONCLUSIVE where neither can be
            shown; INFO where it can't be asked: of a run that is too short, or of a reference whose loss has no
            logarithm.
        """
        if len(candidate) < self._planned:
            return []
        if unasked := self._unasked():
            return [Finding(RULE, Outcome.INFO, "loss", unasked, tier=self._tier)]
        deviation = self._spread.deviation(candidate.loss)
        if not np.isfinite(deviation).all():
            at = int(np.argmax(~np.isfinite(deviation)))
            message = (
                f"the loss has no mean deviation: it is {candidate.loss[at]} at iteration {candidate.iterations[at]}"
            )
            return [self._finding(Outcome.FAIL, message, int(candidate.iterations[at]), math.nan, LARGEST_DEVIATION)]
        mean = float(deviation.mean())
        reach = max(_reach(deviation), self._between)
        return [self._decide(mean, reach)]

    def _unasked(self) -> str:
        """Why equivalence can't be asked for; empty where it can."""
        if self._planned < MINIMUM_ITERATIONS:
            return f"{self._planned} iterations are too few to show equivalence; {MINIMUM_ITERATIONS} are the least"
        if not self._spread.logarithmic.all():
            return "the reference's loss is not positive everywhere: it has no relative deviation to average"
        return ""

    def _decide(self, mean: float, reach: float) -> Finding:
        """The finding on a mean deviation that is known to ± ``reach``, both in logarithms."""
        low, high = (from_logarithm(end) for end in (mean - reach, mean + reach))
        found = (
            f"the loss is {percent(abs(from_logarithm(mean)))} {'above' if mean > 0 else 'below'} the reference's on "
            f"average (90 % interval {percent(low)} … {percent(high)})"
        )
        tolerance = percent(from_logarithm(LARGEST_DEVIATION))
        called = max(LARGEST_DEVIATION + reach, self._healthy)
        if abs(mean) + reach <= LARGEST_DEVIATION:
            return self._finding(Outcome.PASS, f"{found}: shown to be within ±{tolerance}", None, mean, called)
        if abs(mean) > called:
            healthy = percent(from_logarithm(self._healthy))
            message = f"{found}: outside ±{tolerance}, where healthy runs stay within {healthy}"
            return self._finding(Outcome.FAIL, message, self._last, mean, called)
        message = f"{found}: not shown to be within ±{tolerance}, nor outside of what healthy runs do"
        return self._finding(Outcome.INCONCLUSIVE, message, None, mean, called)

    def _finding(self, status: Outcome, message: str, iteration: int | None, mean: float, called: float) -> Finding:
        return Finding(
            RULE,
            status,
            "loss",
            message,
            iteration=iteration,
            observed=from_logarithm(mean),
            allowed=from_logarithm(called),
            smallest_detectable=-from_logarithm(-called),
            tier=self._tier,
        )


def _reach(deviation: FloatArray) -> float:
    """How far a mean may be off by the scatter over its own iterations, at the tests' confidence.

    Student's t has as many degrees of freedom as there are blocks, less one.

    Args:
        deviation: (T,) finite values.
    """
    length = len(deviation)
    block = block_length(deviation)
    # A block's sum is a difference of two running sums, so that no resample of the series has to be built.
    total = np.concatenate([[0.0], np.cumsum(deviation - deviation.mean())])
    starts, rest = _block_starts(length, block)
    sums = (total[starts + block] - total[starts]).sum(axis=1)
    # The blocks of a resample are longer than the series together: what the last one is too long by comes off.
    if rest:
        sums -= total[starts[:, -1] + block] - total[starts[:, -1] + block - rest]
    error = float((sums / length).std())
    return float(stdtrit(max(length / block - 1, 1.0), _CONFIDENCE)) * error


@lru_cache(maxsize=64)
def _block_starts(length: int, block: int) -> tuple[IntArray, int]:
    """(R, B) where the blocks of each resample start, and how many values the last one is too long by."""
    starts = [positions[:, ::block].copy() for positions in draw_blocks(length, block)]
    return np.concatenate(starts), -length % block
