"""Precision tier: what the statistical rules say of a candidate by the healthy runs of one tier.

Kernels differ in how many mantissa bits they keep, and healthy runs of one precision are no measure of another's. So a
baseline holds an ensemble a tier, and a candidate is aligned at the tightest whose runs it can't be told from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.rules.envelope import EnvelopeRule
from harness.rules.state import StateRule
from harness.values.trace import Trace
from harness.values.verdict import Envelope, Finding, Outcome

__all__ = ["STATISTICAL_RULES", "TierJudgement", "TierRules"]

STATISTICAL_RULES = 2
"""How many rules share a case's false-alarm rate: envelope and state."""


@dataclass(frozen=True, eq=False)
class TierJudgement:
    """What the rules say of a candidate by one tier's healthy runs.

    Args:
        tier: its name.
        findings: of every statistical rule.
        envelopes: by signal.
    """

    tier: str
    findings: tuple[Finding, ...]
    envelopes: Mapping[str, Envelope]

    @property
    def holds(self) -> bool:
        """Whether the candidate can't be told from the tier's healthy runs."""
        return all(finding.status in {Outcome.PASS, Outcome.INFO} for finding in self.findings)

    @property
    def fails(self) -> bool:
        """Whether a bound is violated."""
        return any(finding.status is Outcome.FAIL for finding in self.findings)


class TierRules:
    """The statistical rules of one tier, their bounds computed once.

    Args:
        tier: its name.
        healthy: k runs of the reference, each of ``planned`` iterations or more.
        planned: iterations T of the candidates to come.
        false_alarm_rate: chance that a healthy run of the tier fails any of the rules.
    """

    def __init__(self, tier: str, healthy: Sequence[Trace], planned: int, false_alarm_rate: float) -> None:
        share = false_alarm_rate / STATISTICAL_RULES
        self.tier = tier
        self._envelope = EnvelopeRule(healthy, planned, tier=tier, false_alarm_rate=share)
        self._state = StateRule(healthy, planned, tier=tier, false_alarm_rate=share)

    def judge(self, candidate: Trace) -> TierJudgement:
        """What they say of a candidate.

        Args:
            candidate: the run to judge, or the first t ≤ T iterations of it.
        """
        findings, envelopes = self._envelope.judge(candidate)
        return TierJudgement(self.tier, (*findings, *self._state.judge(candidate)), envelopes)
