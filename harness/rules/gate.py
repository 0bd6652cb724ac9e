"""The judge: findings of all rules, added up to one verdict.

Comparability comes first: a comparison of two experiments says nothing about a port. Then each precision tier, tightest
first: the candidate is aligned at the tightest tier whose healthy runs it can't be told from, and the gate asks for the
tier that the case demands.
"""

from __future__ import annotations

from functools import cached_property
from typing import final

from harness.rules.budget import FALSE_ALARM_RATE, require_rate
from harness.rules.comparability import compare_provenance, judge_comparability
from harness.rules.finiteness import judge_finiteness
from harness.rules.foreign import find_foreign_data
from harness.rules.legacy import judge_legacy
from harness.rules.presence import judge_presence
from harness.rules.ranking import violations_first
from harness.rules.schedule import judge_schedule
from harness.rules.tier import TierJudgement, TierRules, describe_alignment, find_tier, unreached_tiers
from harness.values.baseline import Baseline
from harness.values.errors import BaselineError, UsageError
from harness.values.precision import TIERS
from harness.values.provenance import Provenance
from harness.values.trace import Trace
from harness.values.verdict import Agreement, Finding, LegacyResult, Outcome, Status, Verdict

__all__ = ["Gate", "judge"]


_NAMED = 3
"""Of the properties in which two experiments differ, those that are named behind the first."""


@final
class Gate:
    """A baseline's gate for candidates of one length: every bound is computed once, and asked of many runs.

    Args:
        baseline: healthy runs of the reference, by tier.
        planned: iterations T of the runs to judge.
        tier: the precision tier that is demanded; the loosest of the baseline's where empty.
        false_alarm_rate: chance that a healthy run is called a failure, in (0, 1): the case's share of its gate's.
        same: names of settings in which the two sides may differ, each with what is beneath it.

    Raises:
        BaselineError: the baseline holds no runs of the demanded tier.
        UsageError: the rate is no chance, or the baseline holds fewer iterations.
    """

    def __init__(
        self,
        baseline: Baseline,
        planned: int,
        tier: str = "",
        false_alarm_rate: float = FALSE_ALARM_RATE,
        same: tuple[str, ...] = (),
    ) -> None:
        require_rate(false_alarm_rate)
        tiers = sorted(baseline.tiers, key=TIERS.index)
        self.demanded = tier or tiers[-1]
        if self.demanded not in tiers:
            raise BaselineError(
                "the baseline holds no runs of the demanded precision tier",
                where=baseline.where,
                observed=self.demanded,
                allowed=", ".join(tiers),
                hint=_recorded_with(baseline, self.demanded),
            )
        if not 1 <= planned <= baseline.iterations:
            raise UsageError(
                "the baseline doesn't hold as many iterations",
                where=baseline.where,
                observed=planned,
                allowed=f"1 … {baseline.iterations}",
                hint=baseline.record_again("a longer one", iterations=max(planned, 1)),
            )
        self.baseline = baseline
        self.planned = planned
        self.false_alarm_rate = false_alarm_rate
        self._same = same
        self._asked = tiers[: tiers.index(self.demanded) + 1]
        self._reference = baseline.tiers[self.demanded][0]

    def judge(self, candidate: Trace, provenance: Provenance) -> Verdict:
        """The verdict on a candidate's run.

        Args:
            candidate: the run to judge.
            provenance: where it comes from.

        Returns:
            ERROR where the run is cut short; INCONCLUSIVE where the two sides are not the same experiment, or where the
            reference scatters too far to decide; else PASS or FAIL.
        """
        agreements = self._compare(candidate, provenance)
        # Before comparability: a run that was cut short lacks iterations, and would count as another experiment.
        if not candidate.complete:
            reason = f"the run is cut short: {len(candidate)} of {candidate.planned} iterations"
            return self._verdict(candidate, Status.ERROR, reason, [], agreements)
        comparability = judge_comparability(agreements)
        if comparability[0].status is not Outcome.PASS:
            foreign = find_foreign_data(self._reference, candidate)
            reason = _not_comparable(comparability, foreign)
            return self._verdict(candidate, Status.INCONCLUSIVE, reason, [*comparability, *foreign], agreements)
        exact = self._judge_exactly(comparability, candidate)
        judged = [rules.judge(candidate) for rules in self._tiers]
        exact_holds = all(finding.status is Outcome.PASS for finding in exact)
        aligned = next((one for one in judged if one.holds), None) if exact_holds else None
        shown = aligned or judged[-1]
        findings = violations_first([*exact, *shown.findings, find_tier(judged), *unreached_tiers(judged)])
        status, reason = _decide(aligned, judged, findings, self.baseline.reference)
        return self._verdict(candidate, status, reason, findings, agreements, shown, aligned)

    def decided(self, partial: Trace, provenance: Provenance) -> Verdict | None:
        """The verdict on a run that goes on, where nothing that follows can change it.

        That is a FAIL: of a run that is comparable as far as it goes, an exact rule is violated, or a bound of every
        tier up to the demanded one. The bounds are those of the whole run, so what is violated here is violated there,
        and to stop here changes neither the verdict nor the rate of false alarms. A PASS needs every iteration. What a
        whole run may still become is ERROR or INCONCLUSIVE, where it crashes or leaves the reference's batches later;
        neither would open the gate.

        Args:
            partial: the first t ≥ 0 iterations of the run.
            provenance: where it comes from.

        Returns:
            The verdict, or None where it is open.
        """
        verdict = self.so_far(partial, provenance)
        return verdict if verdict.status is Status.FAIL else None

    def is_foreign(self, provenance: Provenance) -> bool:
        """Whether a run is another experiment by where it comes from alone: no iteration of it can change that.

        Args:
            provenance: of the run.
        """
        before = self._reference.head(0)
        return judge_comparability(self._compare(before, provenance, running=True))[0].status is not Outcome.PASS

    def so_far(self, partial: Trace, provenance: Provenance) -> Verdict:
        """What can be said of a run that goes on: FAIL where it is ``decided``, else INCONCLUSIVE.

        Args:
            partial: the first t ≥ 0 iterations of the run.
            provenance: where it comes from.
        """
        agreements = self._compare(partial, provenance, running=True)
        comparability = judge_comparability(agreements)
        if comparability[0].status is not Outcome.PASS:
            reason = _not_comparable(comparability, [])
            return self._verdict(partial, Status.INCONCLUSIVE, reason, comparability, agreements)
        exact = self._judge_exactly(comparability, partial)
        judged = [rules.judge(partial) for rules in self._tiers]
        violated = any(finding.status is Outcome.FAIL for finding in exact)
        outside = all(one.fails for one in judged)
        tier = [find_tier(judged)] if outside else []  # where it isn't, the iterations to come have a say
        findings = violations_first([*exact, *judged[-1].findings, *tier])
        status, reason = Status.INCONCLUSIVE, "the trace alone is open"
        if violated or outside:
            status, reason = _decide(None, judged, findings, self.baseline.reference)
        return self._verdict(partial, status, reason, findings, agreements, judged[-1])

    @cached_property
    def _tiers(self) -> list[TierRules]:
        """The rules of each tier up to the demanded one, tightest first."""
        tiers = self.baseline.tiers
        return [TierRules(name, tiers[name], self.planned, self.false_alarm_rate) for name in self._asked]

    def _compare(self, candidate: Trace, provenance: Provenance, *, running: bool = False) -> tuple[Agreement, ...]:
        return compare_provenance(
            self.baseline.provenance,
            provenance,
            self._reference,
            candidate,
            planned=self.planned if running or candidate.complete else None,
            same=self._same,
        )

    def _judge_exactly(self, comparability: list[Finding], candidate: Trace) -> list[Finding]:
        present = judge_presence(self._reference, candidate)
        return comparability + judge_finiteness(candidate) + present + judge_schedule(self._reference, candidate)

    def _verdict(
        self,
        candidate: Trace,
        status: Status,
        reason: str,
        findings: list[Finding],
        agreements: tuple[Agreement, ...],
        shown: TierJudgement | None = None,
        aligned: TierJudgement | None = None,
    ) -> Verdict:
        return Verdict(
            case=self.baseline.case,
            status=status,
            reason=reason,
            findings=tuple(findings),
            agreements=agreements,
            legacy=_legacy(self._reference, candidate),
            aligned_tier=aligned.tier if aligned and status is Status.PASS else "",
            demanded_tier=self.demanded,
            envelopes=shown.envelopes if shown else {},
        )


def judge(
    baseline: Baseline,
    candidate: Trace,
    provenance: Provenance,
    *,
    tier: str = "",
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> Verdict:
    """The verdict on one run, of as many iterations as it has.

    Args:
        baseline: healthy runs of the reference, by tier.
        candidate: the run to judge.
        provenance: where it comes from.
        tier: the precision tier that is demanded; the loosest of the baseline's where empty.
        false_alarm_rate: chance that a healthy run is called a failure, in (0, 1).

    Returns:
        See ``Gate.judge``.

    Raises:
        BaselineError: the baseline holds no runs of the demanded tier.
        UsageError: the rate is no chance.
    """
    planned = min(max(len(candidate), 1), baseline.iterations)
    return Gate(baseline, planned, tier, false_alarm_rate).judge(candidate, provenance)


def _decide(
    aligned: TierJudgement | None, judged: list[TierJudgement], findings: list[Finding], reference: str
) -> tuple[Status, str]:
    """The verdict and its sentence."""
    if aligned is None:
        undecided = next(finding for finding in findings if finding.status in {Outcome.FAIL, Outcome.INCONCLUSIVE})
        failed = undecided.status is Outcome.FAIL
        reason = f"{undecided.rule}: {undecided.message}; the reference is {reference}"
        return Status.FAIL if failed else Status.INCONCLUSIVE, reason
    return Status.PASS, describe_alignment(aligned, judged, reference)


def _recorded_with(baseline: Baseline, tier: str) -> str:
    """What makes a baseline hold a further tier; there is nothing to run for one that doesn't exist."""
    return baseline.record_again(f"tier {tier}", tier=tier) if tier in TIERS else f"one of {', '.join(TIERS)}"


def _legacy(reference: Trace, candidate: Trace) -> LegacyResult | None:
    """On the iterations that both sides have; None where there are none."""
    common = min(len(reference), len(candidate))
    return judge_legacy(reference.loss[:common], candidate.loss[:common]) if common else None


def _not_comparable(comparability: list[Finding], foreign: list[Finding]) -> str:
    """What differs and changes most, in a sentence, and the names of others that do."""
    names = [finding.signal for finding in comparability[1:]]
    further = len(names) - _NAMED
    listed = ", ".join(names[:_NAMED]) + (f" and {further} more" if further > 0 else "")
    also = f" (also {listed})" if names else ""
    return "; ".join([f"not the same experiment: {comparability[0].message}{also}", *(one.message for one in foreign)])
