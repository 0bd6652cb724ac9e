"""Hard inputs: operations run again with them give what float64 gives, and what isn't finite doesn't vanish.

Some of what is off is so by intent; it is shown, and doesn't decide: how far an infinity or a NaN spreads, which hangs
on the algorithm (a tile of Winograd's, a row of a matrix product); denormal numbers that are flushed to zero; what
overflows where the tier takes operands through half precision's range.
"""

from __future__ import annotations

from collections import defaultdict

from harness.shadow.evidence.checks import ShadowEvidence, ShadowRow
from harness.shadow.judging.error_model import smallest_normal
from harness.shadow.judging.operations import deviation_words
from harness.values.verdict import Finding, Outcome

__all__ = ["RULE", "decides", "judge_hard_inputs", "lost", "off_with_hard_inputs"]

RULE = "hard inputs"

_SHOWN = frozenset({"denormal", "infinity", "NaN"})
_FLUSHED = 0.5
"""Share of a denormal result's norm from which its loss is told."""


def lost(kind: str) -> str:
    """The kind of inputs whose infinities or NaNs are nowhere in a result that has some in float64."""
    return f"{kind} lost"


def off_with_hard_inputs(evidence: ShadowEvidence) -> tuple[ShadowRow, ...]:
    """Where a device is off with hard inputs, by their kind and then the worst first.

    A denormal number has few bits, so there only its loss is told: half of the result's norm, or more. Ties are rounded
    alike, so that nothing averages out in the projection, and the error's norm has to tell.

    Args:
        evidence: of ``ForcedCalls``: the kind of the inputs stands in place of the module.
    """
    off = [row for row in evidence.violations if _is_off(row)]
    return tuple(sorted(off, key=lambda row: (row.module, -row.excess)))


def _is_off(violation: ShadowRow) -> bool:
    if violation.module == "denormal":
        return not violation.error < _FLUSHED
    return violation.module != "ties" or not violation.error <= violation.allowed


def decides(row: ShadowRow, tier: str) -> bool:
    """Whether a row that is off is a violation at a tier, and not a choice that healthy kernels make."""
    overflows = row.module == "large" and smallest_normal(row.op, "float32", tier) > 0.0
    return row.module not in _SHOWN and not overflows


def judge_hard_inputs(evidence: ShadowEvidence) -> list[Finding]:
    """A finding for each operation that is violated, the worst first, else one that passes.

    Args:
        evidence: of ``ForcedCalls``: the kind of the inputs stands in place of the module.

    Returns:
        Failures, or one that passes; inconclusive where no operation was run again.
    """
    if not evidence.rows:
        said = "no operation was run again with hard inputs"
        return [Finding(RULE, Outcome.INCONCLUSIVE, "*", said, tier=evidence.tier)]
    violated: dict[str, list[ShadowRow]] = defaultdict(list)
    for row in off_with_hard_inputs(evidence):
        if decides(row, evidence.tier):
            violated[row.op].append(row)
    worst_first = sorted(violated.values(), key=lambda rows: -max(row.excess for row in rows))
    return [_violation(rows, evidence.tier) for rows in worst_first] or [_all_well(evidence)]


def _violation(rows: list[ShadowRow], tier: str) -> Finding:
    worst = max(rows, key=lambda row: row.excess)
    kinds = ", ".join(dict.fromkeys(row.module for row in rows if row.module != worst.module))
    also = f"; also with {kinds}" if kinds else ""
    return Finding(
        RULE,
        Outcome.FAIL,
        ".".join((worst.op, worst.tensor.replace(" ", "_"))),
        f"{worst.op}, {worst.tensor}: {_what(worst)}{also}",
        observed=worst.error,
        allowed=worst.allowed,
        tier=tier,
    )


def _what(row: ShadowRow) -> str:
    kind, _, gone = row.module.partition(" ")
    if gone:
        return f"with {kind} among its inputs it is finite throughout, where float64's isn't"
    return f"with {kind} inputs {deviation_words(row)}"


def _all_well(evidence: ShadowEvidence) -> Finding:
    shown = len(off_with_hard_inputs(evidence))
    beside = f"; {shown} more are off in what healthy kernels differ in" if shown else ""
    calls, checked = sum(evidence.coverage.calls.values()), sum(evidence.coverage.checked.values())
    message = (
        f"{len(evidence.rows) - shown} tensors of {checked} of {calls} calls with hard inputs stay as close to float64 "
        f"as {evidence.tier} lets them{beside}"
    )
    return Finding(RULE, Outcome.PASS, "*", message, tier=evidence.tier)
