"""Finiteness: a NaN or an infinity is a violation, also where both sides have one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.rules.evaluation import answer_signal
from harness.values.trace import StateTable, Trace
from harness.values.verdict import Finding, Outcome

__all__ = ["RULE", "judge_finiteness"]

RULE = "finiteness"


def judge_finiteness(candidate: Trace) -> list[Finding]:
    """A finding for each signal or tensor of the candidate that is somewhere not finite; else one that passes.

    Args:
        candidate: the run to judge.
    """
    findings = []
    for name, values in candidate.signals.items():
        bad = ~np.isfinite(values) & candidate.has_value(name)
        if bad.any():
            at = int(np.argmax(bad))
            iteration = int(candidate.iterations[at])
            message = f"{name} is {values[at]} at iteration {iteration} ({int(bad.sum())} of {len(values)} not finite)"
            findings.append(Finding(RULE, Outcome.FAIL, name, message, iteration=iteration, observed=float(values[at])))
    for name, iteration in _broken(candidate.state):
        message = f"the norm of {name} is not finite at iteration {iteration}"
        findings.append(Finding(RULE, Outcome.FAIL, name, message, iteration=iteration))
    for name, iteration in _broken(candidate.evaluation):
        message = f"in evaluation mode {name} is not finite after iteration {iteration}"
        findings.append(Finding(RULE, Outcome.FAIL, answer_signal(name), message, iteration=iteration))
    if not findings:
        message = f"all {len(candidate.signals)} signals are finite at all {len(candidate)} iterations"
        findings.append(Finding(RULE, Outcome.PASS, "*", message))
    return findings


def _broken(table: StateTable) -> Iterator[tuple[str, int]]:
    """The names whose numbers are somewhere not finite, each with its first such iteration."""
    broken = ~np.isfinite(table.values) & table.told
    for column in np.flatnonzero(broken.any(axis=0)).tolist():
        yield table.names[column], int(table.iterations[np.argmax(broken[:, column])])
