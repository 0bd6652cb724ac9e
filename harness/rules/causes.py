"""Causes: what a verdict that isn't PASS is put down to, in a few words that stay the same from build to build.

A cause names a rule and what it speaks of, and no number: two builds with the same fault have the same cause, although
their deviations differ in a digit. It is what a history groups by, and what a known deviation of a policy names.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.shadow.evidence.checks import Part, ShadowRow
from harness.values.verdict import Finding, Outcome, Status, Verdict

__all__ = ["causes_of"]

_SHADOW = "shadow"

_SUMMARY = "precision tier"
"""The rule that adds up what the others say of a tier: no cause where one of them says what is wrong."""

_MOST = 40
"""Causes of one verdict: a port that is wrong everywhere has one for each operation."""


def causes_of(verdict: Verdict) -> tuple[str, ...]:
    """What a verdict is put down to, the first cause first, each once; none for a PASS.

    Of a FAIL each violated rule with its signal: ``envelope: grad_norm``. What names single tensors is put together:
    ``shadow: convolution_backward weight gradient`` for all modules, ``state: param`` for all parameters. Of an
    INCONCLUSIVE what decided nothing; of an ERROR the first clause of its sentence.
    """
    if verdict.status is Status.PASS:
        return ()
    if verdict.status is Status.ERROR:
        return (f"error: {verdict.reason.partition(';')[0].strip()}",)
    wanted = Outcome.FAIL if verdict.status is Status.FAIL else Outcome.INCONCLUSIVE
    found = [finding for finding in verdict.findings if finding.status is wanted]
    found = [finding for finding in found if finding.rule != _SUMMARY] or found
    causes = list(dict.fromkeys(cause for finding in found for cause in _of_finding(finding, verdict)))
    return tuple(causes[:_MOST]) or (f"{verdict.status.value.lower()}: {verdict.reason.partition(';')[0].strip()}",)


def _of_finding(finding: Finding, verdict: Verdict) -> Iterator[str]:
    if finding.rule == _SHADOW and verdict.shadow is not None and verdict.shadow.violations:
        for row in verdict.shadow.violations:
            yield f"{_SHADOW}: {_operation(row)}"
    else:
        kind, slash, _ = finding.signal.partition("/")
        yield f"{finding.rule}: {kind if slash else finding.signal}"


def _operation(row: ShadowRow) -> str:
    """The operation and which of its results; of an optimizer's step no single parameter."""
    return f"{row.op} of the optimizer" if row.part is Part.OPTIMIZER else f"{row.op} {row.tensor}"
