"""What contradicts itself in a record: its verdict is derived again from what it holds.

A result is read on machines that didn't judge it. What they take from it is one word, and that word must follow from
the rest: a PASS has every finding that makes one, and none that forbids it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.accuracy import same_weights, trained_runs
from harness.rules import comparability, envelope, finiteness, tier
from harness.shadow.judging import operations as shadow
from harness.values.precision import TIERS
from harness.values.terms import Against
from harness.values.verdict import Envelope, Outcome, Status
from reports.results.result_record import POINTS_KEPT, Record

__all__ = ["contradictions"]

_MAKE_A_PASS = {
    Against.BASELINE: (comparability.RULE, finiteness.RULE, envelope.RULE, tier.RULE),
    Against.HOST: (finiteness.RULE, shadow.RULE),
    Against.LOGS: (),
    Against.ANSWERS: (same_weights.RULE,),
    Against.ACCURACIES: (trained_runs.RULE,),
}
"""The rules without which there is no PASS."""

_WITHOUT_A_RUN = frozenset({Against.ANSWERS, Against.ACCURACIES})
"""What is judged there are answers and accuracies: there is no trace."""

_DEVIATION_TOLERANCE = 1e-9
"""Relative: the deviation is computed in logarithms, and read back from its parts."""


def contradictions(record: Record) -> Iterator[str]:
    """What can't be true together, each in one sentence; nothing where the record is consistent.

    An ERROR follows from nothing that a record holds, and opens no gate: little is asked of it.
    """
    verdict = record.verdict
    failed = [finding for finding in verdict.findings if finding.status is Outcome.FAIL]
    if verdict.status is Status.FAIL and not failed:
        yield "it says FAIL, and no finding fails"
    if verdict.status in {Status.PASS, Status.INCONCLUSIVE} and failed:
        yield f"it says {verdict.status.value}, and a finding fails: {failed[0].rule}, {failed[0].signal}"
    if record.planned is not None and record.done > record.planned:
        yield f"it has {record.done} iterations of {record.planned}"
    if verdict.status is Status.PASS:
        yield from _of_a_pass(record)
    elif verdict.aligned_tier:
        yield f"it says {verdict.status.value}, and aligned at {verdict.aligned_tier}"


def _of_a_pass(record: Record) -> Iterator[str]:
    verdict, against = record.verdict, record.terms.against
    rules = {finding.rule for finding in verdict.findings}
    missing = [rule for rule in _MAKE_A_PASS[against] if rule not in rules]
    if missing or not rules:
        yield f"it says PASS without a finding of {', '.join(missing) or 'any rule'}"
    if disagreeing := [row.what for row in verdict.agreements if row.required and not row.agrees]:
        yield f"it says PASS, and what must agree differs: {', '.join(disagreeing)}"
    if against not in _WITHOUT_A_RUN and (not record.done or record.planned != record.done):
        yield f"it says PASS with {record.done} of {record.planned} iterations"
    if verdict.shadow is not None and verdict.shadow.violations:
        yield "it says PASS, and shadow ops are violated"
    if against not in {Against.LOGS, *_WITHOUT_A_RUN}:
        yield from _of_a_run(record)
    if against is Against.BASELINE:
        yield from _of_a_baseline(record)


def _of_a_run(record: Record) -> Iterator[str]:
    """Of a PASS on a run that this project made."""
    verdict = record.verdict
    undecided = [finding for finding in verdict.findings if finding.status is Outcome.INCONCLUSIVE]
    if undecided:
        yield f"it says PASS, and a finding is inconclusive: {undecided[0].rule}, {undecided[0].signal}"
    if record.candidate is None:
        yield "it says PASS, and nothing of where the candidate's run comes from"
    elif record.candidate.case != verdict.case:
        yield f"it is of {verdict.case}, and the candidate's run of {record.candidate.case}"
    aligned, demanded = verdict.aligned_tier, verdict.demanded_tier
    known = aligned in TIERS and demanded in TIERS
    if not aligned or (TIERS.index(aligned) > TIERS.index(demanded) if known else aligned != demanded):
        yield f"it says PASS, aligned at {aligned or 'no tier'} where {demanded or 'none'} is demanded"


def _of_a_baseline(record: Record) -> Iterator[str]:
    """Of a PASS by healthy runs of a reference."""
    if record.reference is None or record.baseline is None:
        yield "it says PASS by a baseline, and nothing of where that comes from"
    if not any(row.required for row in record.verdict.agreements):
        yield "it says PASS by a baseline, and nothing that must agree"
    loss = record.verdict.envelopes.get("loss")
    if loss is None or len(loss.iterations) != min(record.done, POINTS_KEPT):
        yield "it says PASS by a baseline, and its loss isn't there at every iteration"
    elif not np.all(np.abs(loss.deviation) <= loss.allowed):
        yield "it says PASS, and its loss leaves the envelope"
    elif at := _misstated(loss):
        yield f"its loss at iteration {at} isn't the deviation that it says off the reference"


def _misstated(loss: Envelope) -> str:
    """The first iteration where the deviation isn't the one of candidate and center; empty for none.

    Of a center near zero the deviation is relative to something else.
    """
    known = loss.center > 1e-6 * np.abs(loss.center).max(initial=0.0)
    with np.errstate(all="ignore"):
        wrong = ~(np.abs(loss.candidate / loss.center - 1 - loss.deviation) <= _DEVIATION_TOLERANCE)
    at = np.flatnonzero(known & wrong)
    return str(loss.iterations[at[0]]) if len(at) else ""
