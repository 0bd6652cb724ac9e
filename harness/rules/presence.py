"""Presence: a signal has values at the iterations at which the reference has them.

A loss component may begin late or end early, as the training says. Where the two sides don't agree in that, one of
them trains something else from there on, and no bound of another rule shows it: what is missing is no number.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.rules.evaluation import answer_signal
from harness.values.trace import StateTable, Trace
from harness.values.verdict import Finding, Outcome

__all__ = ["RULE", "judge_presence"]

RULE = "presence"


def judge_presence(reference: Trace, candidate: Trace) -> list[Finding]:
    """A finding for each signal that one side has where the other doesn't; none where they agree.

    A signal that the reference never has, or that the candidate never has where the reference always does, is left to
    the rules that name what is extra or lacking.

    Args:
        reference: a run with the candidate's iterations or more.
        candidate: the run to judge.
    """
    findings = []
    for name in dict.fromkeys([*reference.missing, *(name for name in candidate.missing if name in reference.signals)]):
        due, there = reference.has_value(name)[: len(candidate)], candidate.has_value(name)
        if (due == there).all():
            continue
        at = int(np.argmax(due != there))
        iteration = int(candidate.iterations[at])
        said = "has no value" if due[at] else f"is {float(candidate.signals[name][at])!r}"
        other = "has one" if due[at] else "has none"
        message = f"{name} {said} at iteration {iteration}, where the reference {other}"
        findings.append(Finding(RULE, Outcome.FAIL, name, message, iteration=iteration))
    return [*findings, *_answers(reference.evaluation, candidate)]


def _answers(reference: StateTable, candidate: Trace) -> Iterator[Finding]:
    """What the model answers in evaluation mode where the reference's doesn't; what it lacks is judged as NaN there."""
    answered = ~np.isnan(candidate.evaluation.values_due(reference, candidate.reached))
    extra = answered & ~reference.told[: len(answered)]
    for column in np.flatnonzero(extra.any(axis=0)).tolist():
        name, iteration = reference.names[column], int(reference.iterations[np.argmax(extra[:, column])])
        message = f"in evaluation mode {name} has a value after iteration {iteration}, where the reference has none"
        yield Finding(RULE, Outcome.FAIL, answer_signal(name), message, iteration=iteration)
