"""Precision tier: what the statistical rules say of a candidate by the healthy runs of one tier.

Kernels differ in how many mantissa bits they keep, and healthy runs of one precision are no measure of another's. So a
baseline holds an ensemble a tier, and a candidate is aligned at the tightest whose runs it can't be told from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.rules.bounded import Bounds, percent
from harness.rules.envelope import EnvelopeRule
from harness.rules.equivalence import RULE as EQUIVALENCE
from harness.rules.equivalence import EquivalenceRule
from harness.rules.evaluation import EvaluationRule
from harness.rules.first_step import FirstStepRule
from harness.rules.ranking import violations_first
from harness.rules.sight import Sight, judge_sight, measure_sight
from harness.rules.state import StateRule
from harness.values.trace import Trace
from harness.values.verdict import Envelope, Finding, Outcome

__all__ = [
    "RULE",
    "STATISTICAL_RULES",
    "TierJudgement",
    "TierRules",
    "describe_alignment",
    "find_tier",
    "unreached_tiers",
]

RULE = "precision tier"

STATISTICAL_RULES = 5
"""How many rules share a case's false-alarm rate: first step, envelope, equivalence, state and evaluation."""


@dataclass(frozen=True, eq=False)
class TierJudgement:
    """What the rules say of a candidate by one tier's healthy runs.

    Args:
        tier: its name.
        findings: of every statistical rule.
        envelopes: by signal.
        sights: of the signals that have a bound at each iteration.
    """

    tier: str
    findings: tuple[Finding, ...]
    envelopes: Mapping[str, Envelope]
    sights: tuple[Sight, ...]

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
        self._first_step = FirstStepRule(healthy, planned, tier=tier, false_alarm_rate=share)
        self._envelope = EnvelopeRule(healthy, planned, tier=tier, false_alarm_rate=share)
        self._equivalence = EquivalenceRule(healthy, planned, tier=tier, false_alarm_rate=share)
        self._state = StateRule(healthy, planned, tier=tier, false_alarm_rate=share)
        self._evaluation = EvaluationRule(healthy, planned, tier=tier, false_alarm_rate=share)
        starts = healthy[0].piece_starts
        starts = starts[starts < planned]
        self._sights = tuple(sight for bounds in self.signal_bounds for sight in measure_sight(bounds, starts))

    @property
    def signal_bounds(self) -> tuple[Bounds, ...]:
        """Of the signals that are judged at each iteration."""
        totals = self._state.totals
        return (self._envelope.bounds, *([totals] if totals is not None else []))

    @property
    def evaluation_bounds(self) -> tuple[Bounds, ...]:
        """Of what the model answers in evaluation mode, as far as the reference was asked."""
        return self._evaluation.bounds

    @property
    def sights(self) -> tuple[Sight, ...]:
        """From which iteration on each of the signals is blind."""
        return self._sights

    def judge(self, candidate: Trace) -> TierJudgement:
        """What they say of a candidate.

        Args:
            candidate: the run to judge, or the first t ≤ T iterations of it: then without equivalence, which is asked
                of whole runs.
        """
        found, envelopes = self._envelope.judge(candidate)
        findings = (
            *self._first_step.judge(candidate),
            *found,
            *self._equivalence.judge(candidate),
            *self._state.judge(candidate),
            *self._evaluation.judge(candidate),
            *judge_sight(self._sights, self.tier),
        )
        return TierJudgement(self.tier, findings, envelopes, self._sights)


def find_tier(judged: Sequence[TierJudgement]) -> Finding:
    """The tightest tier whose healthy runs a candidate can't be told from, and why it isn't a tighter one.

    Args:
        judged: of each tier, tightest first; the last is the one that is demanded.
    """
    demanded = judged[-1]
    aligned = next((one for one in judged if one.holds), None)
    tighter = list(judged[: judged.index(aligned)] if aligned else judged)
    if aligned is None:
        status = Outcome.FAIL if demanded.fails else Outcome.INCONCLUSIVE
        said = f"aligned at none of {', '.join(one.tier for one in judged)}, and {demanded.tier} is demanded"
    else:
        status = Outcome.PASS
        said = _name(aligned, judged)
    why = "".join(f"; {one.tier}: {_reason(one)}" for one in tighter)
    shown = aligned or demanded
    return Finding(RULE, status, "*", said + why, smallest_detectable=_smallest(shown), tier=shown.tier)


def unreached_tiers(judged: Sequence[TierJudgement]) -> list[Finding]:
    """What keeps a candidate from each tier that it doesn't reach, but for the demanded one, whose findings decide.

    Args:
        judged: of each tier, tightest first; the last is the one that is demanded.

    Returns:
        The first violation of each such tier, as information: it doesn't decide.
    """
    findings = []
    for one in judged[:-1]:
        if not one.holds:
            keeps = _keeping(one)
            message = f"not aligned at {one.tier}: {keeps.message}"
            findings.append(replace(keeps, rule=RULE, status=Outcome.INFO, message=message))
    return findings


def describe_alignment(aligned: TierJudgement, judged: Sequence[TierJudgement], reference: str) -> str:
    """The sentence on a candidate that is aligned: at which tier, over how many iterations, seen how well.

    Args:
        aligned: the tier's judgement.
        judged: of each tier, tightest first.
        reference: whose healthy runs they are.
    """
    count = len(aligned.envelopes["loss"].iterations)
    iterations = f"{count} {'iteration' if count == 1 else 'iterations'}"
    pieces = next(one for one in aligned.sights if one.signal == "loss").pieces
    iterations += f" in {pieces} pieces" if pieces > 1 else ""
    over = f"{_name(aligned, judged)}, with the reference {reference} over {iterations}"
    return "; ".join([over, _seen_of_the_loss(aligned), *_blind(aligned)])


def _seen_of_the_loss(aligned: TierJudgement) -> str:
    """Which deviations of the loss would have been seen, each at its iteration, and up to which iteration."""
    sight = next(one for one in aligned.sights if one.signal == "loss")
    bounds = dict.fromkeys((sight.best, sight.worst))
    off = " or ".join(f"by {percent(bound)} at iteration {at}" for bound, at in bounds)
    seen = f"a loss off {off} would have been seen"
    if sight.blind_from is None:
        return seen
    mean = any(finding.rule == EQUIVALENCE and finding.status is Outcome.PASS for finding in aligned.findings)
    held = f"only its mean over the run is held, to ±{percent(sight.limit)}" if mean else "nothing holds it"
    return f"{seen}; {sight.blind_where} the reference's own runs part by more, and there {held}"


def _blind(aligned: TierJudgement) -> list[str]:
    """Which other signals are blind, and from which iteration on."""
    blind = [one for one in aligned.sights if one.blind_from is not None and one.signal != "loss"]
    told = ", ".join(f"{one.signal} {one.blind_where}" for one in blind)
    return [f"blind: {told}"] if blind else []


def _name(aligned: TierJudgement, judged: Sequence[TierJudgement]) -> str:
    tighter = [one.tier for one in judged[: judged.index(aligned)]]
    return f"aligned at {aligned.tier}" + (f", not at {' or '.join(tighter)}" if tighter else "")


def _reason(judgement: TierJudgement) -> str:
    return _keeping(judgement).message


def _keeping(judgement: TierJudgement) -> Finding:
    """The first violation; else what could not be shown."""
    ranked = violations_first(judgement.findings)
    return next(finding for finding in ranked if finding.status in {Outcome.FAIL, Outcome.INCONCLUSIVE})


def _smallest(judgement: TierJudgement) -> float:
    """The smallest relative deviation of the loss that any of the rules calls."""
    seen = [finding.smallest_detectable for finding in judgement.findings if finding.signal == "loss"]
    return min((smallest for smallest in seen if smallest is not None), default=float("nan"))
