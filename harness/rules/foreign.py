"""Foreign data: where batches have no digests, what the losses themselves say about whose data they are.

A digest proves that two batches are equal; the correlation of the losses' changes from iteration to iteration proves
only that two runs share most of what moves them (see ``dependence``). So nothing here makes two runs comparable that
their digests don't: it says whether another data order, another global batch or other data are to be looked for.
"""

from __future__ import annotations

from harness.rules.dependence import MINIMUM_ITERATIONS, Data, measure_dependence
from harness.values.trace import Trace
from harness.values.verdict import Finding, Outcome

__all__ = ["RULE", "find_foreign_data"]

RULE = "same data"


def find_foreign_data(reference: Trace, candidate: Trace) -> list[Finding]:
    """A finding where the batches of either side have no digests; none where they have.

    Args:
        reference: one of the reference's runs.
        candidate: the candidate's run, from the same first iteration on.
    """
    if all(trace.batches and all(trace.batches) for trace in (reference, candidate)):
        return []
    common = min(len(reference), len(candidate))
    dependence = measure_dependence(reference.loss[:common], candidate.loss[:common])
    correlate = f"the losses' changes from iteration to iteration correlate at {dependence}"
    said = {
        Data.SAME: f"without digests of the batches their equality can't be shown; {correlate}: probably the same data",
        Data.OTHER: f"the two sides did not see the same data: {correlate}; another order, batch size or data set",
        Data.UNKNOWN: f"whether both sides saw the same data can't be told: {correlate}",
    }[dependence.data]
    few = f"; {MINIMUM_ITERATIONS} iterations are the least" if common < MINIMUM_ITERATIONS else ""
    return [Finding(RULE, Outcome.INCONCLUSIVE, "loss", said + few)]
