"""The judge: findings of all rules, added up to one verdict.

Comparability comes first: a comparison of two experiments says nothing about a port. Then each precision tier, tightest
first: the candidate is aligned at the tightest tier whose healthy runs it can't be told from, and the gate asks for the
tier that the case demands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.rules.bounded import percent
from harness.rules.comparability import compare_provenance, judge_comparability
from harness.rules.envelope import judge_envelope
from harness.rules.finiteness import judge_finiteness
from harness.rules.legacy import LARGEST_MEAN_RELATIVE_ERROR, judge_legacy
from harness.rules.schedule import judge_schedule
from harness.rules.state import judge_state
from harness.values.baseline import Baseline
from harness.values.errors import BaselineError
from harness.values.precision import TIERS
from harness.values.provenance import Provenance
from harness.values.trace import Trace
from harness.values.verdict import Envelope, Finding, LegacyResult, Outcome, Status, Verdict

__all__ = ["BLINDEST", "FALSE_ALARM_RATE", "judge"]

FALSE_ALARM_RATE = 1e-3
"""Chance that a healthy run is called a failure, over all rules, signals and iterations of one case."""

BLINDEST = LARGEST_MEAN_RELATIVE_ERROR
"""A baseline that can't see, at its best iteration, a loss off by what even the legacy rule allows, decides nothing."""

_STATISTICAL_RULES = 2


@dataclass(frozen=True, eq=False)
class _TierJudgement:
    tier: str
    findings: tuple[Finding, ...]
    envelopes: Mapping[str, Envelope]

    @property
    def holds(self) -> bool:
        return all(finding.status is Outcome.PASS for finding in self.findings)


def judge(
    baseline: Baseline,
    candidate: Trace,
    provenance: Provenance,
    *,
    tier: str = "",
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> Verdict:
    """The verdict on a candidate's run.

    Args:
        baseline: healthy runs of the reference, by tier.
        candidate: the run to judge.
        provenance: where it comes from.
        tier: the precision tier that is demanded; the loosest of the baseline's where empty.
        false_alarm_rate: chance that a healthy run is called a failure, in (0, 1).

    Returns:
        ERROR where the run is cut short; INCONCLUSIVE where the two sides are not the same experiment, or where the
        reference scatters too far to decide; else PASS or FAIL.

    Raises:
        BaselineError: the baseline holds no runs of the demanded tier.
    """
    tiers = sorted(baseline.tiers, key=TIERS.index)
    demanded = tier or tiers[-1]
    if demanded not in tiers:
        raise BaselineError(
            "the baseline holds no runs of the demanded precision tier",
            where=baseline.where,
            observed=", ".join(tiers),
            allowed=demanded,
            hint=f"align record {baseline.case} --tiers {demanded}",
        )
    reference = baseline.tiers[demanded][0]
    agreements = compare_provenance(baseline.provenance, provenance, reference, candidate)
    legacy = _legacy(reference, candidate)
    if not candidate.complete:
        reason = f"the run is cut short: {len(candidate)} of {candidate.planned} iterations"
        return Verdict(baseline.case, Status.ERROR, reason, (), agreements, legacy, "", demanded)
    comparability = judge_comparability(agreements)
    if comparability[0].status is not Outcome.PASS:
        reason = _not_comparable(comparability)
        return Verdict(
            baseline.case, Status.INCONCLUSIVE, reason, tuple(comparability), agreements, legacy, "", demanded
        )
    exact = comparability + judge_finiteness(candidate) + judge_schedule(reference, candidate)
    judged = [
        _judge_tier(name, baseline.tiers[name], candidate, false_alarm_rate)
        for name in tiers[: tiers.index(demanded) + 1]
    ]
    exact_holds = all(finding.status is Outcome.PASS for finding in exact)
    aligned = next((tier_judged for tier_judged in judged if tier_judged.holds), None) if exact_holds else None
    shown = aligned or judged[-1]
    findings = _violations_first([*exact, *shown.findings])
    status, reason = _decide(aligned, judged, findings)
    return Verdict(
        case=baseline.case,
        status=status,
        reason=reason,
        findings=tuple(findings),
        agreements=agreements,
        legacy=legacy,
        aligned_tier=aligned.tier if aligned and status is Status.PASS else "",
        demanded_tier=demanded,
        envelopes=shown.envelopes,
    )


def _decide(
    aligned: _TierJudgement | None, judged: list[_TierJudgement], findings: list[Finding]
) -> tuple[Status, str]:
    """The verdict and its sentence. A reference that scatters so far that it would hide anything decides nothing."""
    if aligned is None:
        undecided = next((finding for finding in findings if finding.status is not Outcome.PASS), findings[0])
        failed = undecided.status is Outcome.FAIL
        return Status.FAIL if failed else Status.INCONCLUSIVE, f"{undecided.rule}: {undecided.message}"
    loss = aligned.envelopes["loss"]
    if not loss.allowed.min() <= BLINDEST:
        scatter = percent(float(loss.allowed.min()))
        return Status.INCONCLUSIVE, f"the reference's own runs part by {scatter} at best: they would hide any fault"
    return Status.PASS, _aligned(aligned, judged)


def _judge_tier(tier: str, healthy: Sequence[Trace], candidate: Trace, false_alarm_rate: float) -> _TierJudgement:
    share = false_alarm_rate / _STATISTICAL_RULES
    findings, envelopes = judge_envelope(healthy, candidate, tier=tier, false_alarm_rate=share)
    findings += judge_state(healthy, candidate, tier=tier, false_alarm_rate=share)
    return _TierJudgement(tier, tuple(findings), envelopes)


def _legacy(reference: Trace, candidate: Trace) -> LegacyResult | None:
    """On the iterations that both sides have; None where there are none."""
    common = min(len(reference), len(candidate))
    return judge_legacy(reference.loss[:common], candidate.loss[:common]) if common else None


def _violations_first(findings: list[Finding]) -> list[Finding]:
    """Failures in the order of their iterations, the worst of an iteration first; then the rest as they came."""

    def rank(finding: Finding) -> tuple[bool, int, float]:
        failed = finding.status is Outcome.FAIL
        excess = abs(finding.observed or 0.0) / finding.allowed if failed and finding.allowed else 0.0
        return not failed, (finding.iteration or 0) if failed else 0, -excess

    return sorted(findings, key=rank)


def _not_comparable(findings: list[Finding]) -> str:
    more = f" ({len(findings) - 1} more differ)" if len(findings) > 1 else ""
    return f"not the same experiment: {findings[0].message}{more}"


def _aligned(shown: _TierJudgement, judged: list[_TierJudgement]) -> str:
    tighter = [tier_judged.tier for tier_judged in judged[: judged.index(shown)]]
    but = f", not at {' or '.join(tighter)}" if tighter else ""
    loss = shown.envelopes["loss"]
    best, worst = int(loss.allowed.argmin()), int(loss.allowed.argmax())
    seen = " and ".join(
        f"{percent(float(loss.allowed[at]))} at iteration {int(loss.iterations[at])}"
        for at in dict.fromkeys((best, worst))
    )
    aligned = f"aligned at {shown.tier}{but} over {len(loss.iterations)} iterations"
    return f"{aligned}; a loss off by {seen} would have been seen"
