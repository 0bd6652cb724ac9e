"""What shadow ops add to a verdict, and the verdict that they give alone.

They need no reference: an operation that isn't what float64 makes of the same inputs is wrong whatever it is compared
with. So a violation is a FAIL also where the two sides are no longer the same experiment, and it is told first, since
it names the operation and the module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.rules.finiteness import judge_finiteness
from harness.rules.ranking import violations_first
from harness.shadow.evidence.checks import ShadowEvidence
from harness.shadow.judging.hard_input_rule import judge_hard_inputs
from harness.shadow.judging.operations import judge_shadow
from harness.values.trace import Trace
from harness.values.verdict import Finding, Outcome, Status, Verdict

__all__ = ["LEAST_COVERAGE", "judge_alone", "require_shadow", "with_findings", "with_hard_inputs", "with_shadow"]

LEAST_COVERAGE = 0.95
"""Share of the calls that have to be checked for shadow ops to pass a case alone."""


_MOST_UNTRAINED = 0.5
"""Share of a run's iterations without a gradient from which on shadow ops pass nothing alone."""


def with_shadow(verdict: Verdict, evidence: ShadowEvidence) -> Verdict:
    """A verdict with the evidence of shadow ops beside it.

    Args:
        verdict: on the trace.
        evidence: of the same run.

    Returns:
        FAIL where an operation is violated and the run is no ERROR; INCONCLUSIVE where nothing was checked and it would
        pass; else the verdict as it was, with the finding.
    """
    findings = judge_shadow(evidence)
    return _decided(_joined(replace(verdict, shadow=evidence), findings), findings)


def with_findings(verdict: Verdict, findings: list[Finding]) -> Verdict:
    """A verdict with findings that need no reference beside it: FAIL where one fails and the run is no ERROR."""
    return _joined(verdict, findings)


def with_hard_inputs(verdict: Verdict, evidence: ShadowEvidence) -> Verdict:
    """A verdict with what operations run again with hard inputs say.

    Args:
        verdict: on the run.
        evidence: of its ``ForcedCalls``.

    Returns:
        FAIL where one is violated and the run is no ERROR, told behind what training itself showed; INCONCLUSIVE where
        none was run again and it would pass.
    """
    findings = judge_hard_inputs(evidence)
    return _decided(_joined(verdict, findings, first=verdict.status is not Status.FAIL), findings)


def judge_alone(case: str, candidate: Trace, evidence: ShadowEvidence) -> Verdict:
    """The verdict of shadow ops without a baseline.

    Args:
        case: its name.
        candidate: the run.
        evidence: of the run.

    Returns:
        ERROR where the run is cut short, FAIL where an operation is violated or a value isn't finite, INCONCLUSIVE
        where too few calls were checked to say, or the optimizer's step or the schedule could not be, else PASS.
    """
    findings = [*judge_finiteness(candidate), *judge_shadow(evidence)]
    failed = [finding for finding in findings if finding.status is Outcome.FAIL]
    coverage = evidence.coverage
    if not candidate.complete:
        status = Status.ERROR
        reason = f"the run is cut short: {len(candidate)} of {candidate.planned} iterations"
    elif failed:
        status, reason = Status.FAIL, _told(violations_first(failed))
    elif coverage.programs:
        status = Status.INCONCLUSIVE
        unseen = ", ".join(f"{program} ({coverage.skipped.get(program, 'no reason')})" for program in coverage.programs)
        reason = f"only a baseline would show what these made of the step: {unseen}"
    elif untrained := _untrained(candidate):
        status, reason = Status.INCONCLUSIVE, untrained
    elif not evidence.rows or coverage.rate < LEAST_COVERAGE:
        status = Status.INCONCLUSIVE
        reason = f"only {coverage.rate:.0%} of the calls could be checked; {LEAST_COVERAGE:.0%} would decide"
    else:
        status, reason = Status.PASS, f"no baseline was asked; {findings[-1].message}"
    return Verdict(
        case,
        status,
        reason,
        tuple(violations_first(findings)),
        aligned_tier=evidence.tier if status is Status.PASS else "",
        demanded_tier=evidence.tier,
        shadow=evidence,
    )


def _untrained(candidate: Trace) -> str:
    """What is said of a run that had no gradient in its last iteration, or in many of them; empty of any other.

    A loss scaler skips a step whose gradients overflow, and lowers its scale until they don't: that is over soon. A
    device whose gradients are never finite skips all of them.
    """
    norms = candidate.signals.get("grad_norm", np.ones(1))
    without = int((norms == 0.0).sum())
    if not without or (norms[-1] and without < _MOST_UNTRAINED * len(norms)):
        return ""
    return f"nothing was trained on in {without} of {len(norms)} iterations: gradients that overflowed, or were zero"


def require_shadow(
    verdict: Verdict, iterations: Sequence[int], processes: Sequence[Sequence[int]] | None = None
) -> Verdict:
    """A verdict that passes no run which left less than the shadow checks that were ordered, of any of its processes.

    Args:
        verdict: with the evidence that there is.
        iterations: that were to be shadowed.
        processes: of each process, the iterations that it left checks of; without it those of the evidence.
    """
    if verdict.status is not Status.PASS:
        return verdict
    if processes is None:
        processes = [verdict.shadow.iterations if verdict.shadow is not None else ()]
    told = []
    for rank, done in enumerate(processes):
        if missing := sorted(set(iterations) - set(done)):
            who = f"process {rank} of {len(processes)}" if len(processes) > 1 else "the run"
            told.append(f"{who} left no shadow checks of iteration {', '.join(map(str, missing))}")
    if not told:
        return verdict
    return replace(
        verdict, status=Status.INCONCLUSIVE, reason=f"{'; '.join(told)}, which were ordered", aligned_tier=""
    )


def _joined(verdict: Verdict, findings: list[Finding], *, first: bool = True) -> Verdict:
    """The verdict with findings that need no reference: those that fail make it a FAIL, and are told first or last."""
    failed = [finding for finding in findings if finding.status is Outcome.FAIL]
    told = [*failed, *verdict.findings] if first else violations_first([*verdict.findings, *failed])
    added = replace(verdict, findings=(*told, *_others(findings)))
    if not failed or verdict.status is Status.ERROR:
        return added
    reasons = [] if verdict.status is Status.PASS else [verdict.reason]
    reasons.insert(0 if first else len(reasons), _told(failed))
    return replace(added, status=Status.FAIL, reason="; ".join(reasons), aligned_tier="")


def _decided(verdict: Verdict, findings: list[Finding]) -> Verdict:
    """The verdict, but no PASS where what was asked for decided nothing."""
    undecided = [finding for finding in findings if finding.status is Outcome.INCONCLUSIVE]
    if verdict.status is not Status.PASS or not undecided:
        return verdict
    return replace(verdict, status=Status.INCONCLUSIVE, reason=undecided[0].message, aligned_tier="")


def _told(failed: list[Finding]) -> str:
    others = len(failed) - 1
    more = f" ({others} more {'findings' if others > 1 else 'finding'})" if others else ""
    return f"{failed[0].rule}: {failed[0].message}{more}"


def _others(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.status is not Outcome.FAIL]
