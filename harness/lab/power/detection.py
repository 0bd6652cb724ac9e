"""What the gate and each of its rules say of a run, cut short or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.lab.faults import parse_fault
from harness.lab.power.finished_run import Ending, FinishedRun
from harness.lab.power.naming import is_named_by
from harness.rules.gate import Gate
from harness.shadow.judging.hard_input_rule import judge_hard_inputs
from harness.shadow.judging.operations import foremost, judge_shadow, weigh_shadow
from harness.values.verdict import Finding, Outcome, Status, Verdict

__all__ = ["CRASH", "HARD_INPUTS", "RULES", "SHADOW", "Detection", "detect", "detect_by_trace", "found_by_shadow"]

CRASH = "crash"
SHADOW = "shadow"
HARD_INPUTS = "hard inputs"

RULES = (
    *("comparability", "finiteness", "schedule", "first step", "loss", "loss components", "gradient norm"),
    *("update norm", "parameter norms", "BatchNorm statistics", "evaluation", "equivalence", CRASH),
)
"""The columns of the table; a rule that is none of them gets a column of its own behind them."""

_SUMMARIES = frozenset({"precision tier", "same data"})
"""What says again, in one finding, what the other rules found."""

_STATE = {
    "update_norm": "update norm",
    "param_norm": "parameter norms",
    "param": "parameter norms",
    "bn_mean_norm": "BatchNorm statistics",
    "bn_var_norm": "BatchNorm statistics",
    "mean": "BatchNorm statistics",
    "var": "BatchNorm statistics",
}


@dataclass(frozen=True)
class Detection:
    """What was said of a run.

    Args:
        status: the gate's verdict; FAIL also of a run that was stopped because it could become nothing else.
        reason: its sentence.
        iteration: the first at which a rule was violated; None where none was.
        rules: column → first iteration at which it was violated, of those that were; None for a rule that speaks of
            the whole run.
        iterations: how many the run has.
        legacy_fails: whether the legacy rule fails it, on the iterations that it has.
        shadow: what shadow ops found: first iteration, and the finding in words; None where they found nothing.
        shadowed: whether there were to be any.
        named: whether they name the run's fault rightly; None where they found nothing, or the run has no fault.
        hard_inputs: what operations run again with hard inputs showed, in words; None where they showed nothing.
        forced: whether any was to be run again.
        crashed_shadowed: whether the run that shadow ops watched crashed, and the one beside it did not.
    """

    status: Status
    reason: str
    iteration: int | None = None
    rules: Mapping[str, int | None] = field(default_factory=dict)
    iterations: int = 0
    legacy_fails: bool = False
    shadow: tuple[int, str] | None = None
    shadowed: bool = False
    named: bool | None = None
    hard_inputs: str | None = None
    forced: bool = False
    crashed_shadowed: bool = False

    @property
    def seen(self) -> bool:
        """Whether the gate stays shut, by all but shadow ops and hard inputs."""
        return self.status is not Status.PASS

    @property
    def seen_with_shadow(self) -> bool:
        """Whether the gate stays shut, shadow ops among its signals."""
        return self.seen or self.shadow is not None or self.crashed_shadowed

    @property
    def seen_at_all(self) -> bool:
        """Whether the gate stays shut, shadow ops and hard inputs among its signals."""
        return self.seen_with_shadow or self.hard_inputs is not None

    @property
    def called(self) -> tuple[str, ...]:
        """The columns that were violated, shadow ops and hard inputs among them."""
        further = {CRASH: self.crashed_shadowed, SHADOW: self.shadow, HARD_INPUTS: self.hard_inputs}
        return (*self.rules, *(column for column, found in further.items() if found))

    @property
    def within(self) -> int | None:
        """How many iterations it took; all that were run where a rule speaks of the whole run. None where unseen."""
        if not self.seen:
            return None
        return self.iterations if self.iteration is None else self.iteration + 1


def detect(gate: Gate, record: FinishedRun, shadowed: FinishedRun | None = None) -> Detection:
    """Judge a run by a gate.

    Args:
        gate: of the record's case and planned iterations.
        record: a run that ended in any way.
        shadowed: the run beside it that shadow ops watched; None where there is none.
    """
    found = detect_by_trace(gate, record)
    if shadowed is None:
        return found
    return replace(
        found,
        shadowed=bool(shadowed.experiment.shadow),
        forced=shadowed.experiment.forced,
        crashed_shadowed=shadowed.ending is Ending.CRASHED and record.ending is not Ending.CRASHED,
        hard_inputs=_by_hard_inputs(shadowed, gate.demanded),
        **_by_shadow(shadowed, gate.demanded),
    )


def found_by_shadow(record: FinishedRun, tier: str) -> bool:
    """Whether shadow ops find something in a shadowed run, as far as it goes."""
    return bool(_by_shadow(record, tier))


def _by_hard_inputs(record: FinishedRun, tier: str) -> str | None:
    forced = record.forced
    findings = judge_hard_inputs(weigh_shadow(forced, tier)) if forced is not None else []
    failed = [found.message for found in findings if found.status is Outcome.FAIL]
    return failed[0] if failed else None


def _by_shadow(record: FinishedRun, tier: str) -> dict[str, Any]:
    shadow = record.shadow
    if shadow is None:
        return {}
    evidence = weigh_shadow(shadow, tier)
    findings = [found for found in judge_shadow(evidence) if found.status is Outcome.FAIL]
    if not findings:
        return {}
    row = foremost(evidence.violations)
    faults = record.experiment.faults
    return {
        "shadow": (findings[0].iteration or 0, findings[0].message),
        "named": is_named_by(parse_fault(faults[0]), row, shadow) if faults else None,
    }


def detect_by_trace(gate: Gate, record: FinishedRun) -> Detection:
    """Judge a run by a gate, by all but shadow ops.

    Args:
        gate: of the record's case and planned iterations.
        record: a run that ended in any way.
    """
    trace, provenance = record.trace, record.provenance
    if trace is None or provenance is None or not len(trace):
        return Detection(Status.ERROR, _first_line(record.error), rules={CRASH: None})
    verdict = gate.judge(trace, provenance) if trace.complete else gate.decided(trace, provenance)
    if record.ending is Ending.CRASHED:
        return _crashed(record, verdict, len(trace))
    if verdict is None:  # stopped by rules of another time, that saw what today's don't
        return Detection(Status.PASS, "open: the run was stopped too early for these rules", iterations=len(trace))
    return _detection(verdict, len(trace))


def _detection(verdict: Verdict, iterations: int) -> Detection:
    rules: dict[str, int | None] = {}
    if verdict.status is not Status.PASS:
        for finding in verdict.findings:
            if _calls(finding, verdict.status) and finding.rule not in _SUMMARIES:
                rules[_column(finding)] = _earlier(rules, _column(finding), finding.iteration)
    legacy = verdict.legacy is not None and verdict.legacy.verdict == "fail"
    return Detection(verdict.status, verdict.reason, _first(rules), rules, iterations, legacy)


def _crashed(record: FinishedRun, verdict: Verdict | None, iterations: int) -> Detection:
    """A crash is an ERROR, and no rule is needed to see it; which rules had called the run before is shown."""
    before = _detection(verdict, iterations) if verdict is not None else None
    rules = {**(before.rules if before else {}), CRASH: iterations}
    return Detection(
        Status.ERROR,
        _first_line(record.error),
        _first(rules),
        rules,
        iterations,
        legacy_fails=before.legacy_fails if before else False,
    )


def _calls(finding: Finding, status: Status) -> bool:
    """A violation; of an inconclusive verdict, what can't be decided."""
    undecided = status is Status.INCONCLUSIVE and finding.status is Outcome.INCONCLUSIVE
    return finding.status is Outcome.FAIL or undecided


def _column(finding: Finding) -> str:
    if finding.rule == "envelope":
        return {"loss": "loss", "grad_norm": "gradient norm"}.get(finding.signal, "loss components")
    if finding.rule == "state":
        return _STATE.get(finding.signal.partition("/")[0], "state")
    return finding.rule


def _earlier(rules: Mapping[str, int | None], column: str, iteration: int | None) -> int | None:
    known = rules.get(column)
    if known is None or iteration is None:
        return iteration if known is None else known
    return min(known, iteration)


def _first(rules: Mapping[str, int | None]) -> int | None:
    iterations = [iteration for iteration in rules.values() if iteration is not None]
    return min(iterations) if iterations else None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0] or "the run left nothing to judge"
