"""Findings, worded for a table."""

from __future__ import annotations

from dataclasses import dataclass

from harness.values.verdict import Finding, Outcome, Verdict
from reports.words.wording import NOTHING, multiple, relative, unbroken

__all__ = ["SHOWN", "FindingRow", "finding_rows", "findings_lead", "findings_rest"]

SHOWN = 20
"""Findings in sight; the rest fold away."""

_ORDER = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO)

_OUTCOMES = {
    Outcome.FAIL: "violated",
    Outcome.INCONCLUSIVE: "undecided",
    Outcome.PASS: "kept",
    Outcome.INFO: "noted",
}


@dataclass(frozen=True)
class FindingRow:
    """A finding, worded; ``tone`` is its colour and icon."""

    tone: str
    outcome: str
    rule: str
    tier: str
    signal: str
    iteration: str
    observed: str
    allowed: str
    used: str
    seen: str
    message: str


def finding_rows(verdict: Verdict) -> tuple[FindingRow, ...]:
    """Violations in the order of their iterations, then the undecided, then the rest as they were judged."""
    others = [finding for finding in verdict.findings if finding.status is not Outcome.FAIL]
    others.sort(key=lambda finding: _ORDER.index(finding.status))
    return tuple(_row(finding) for finding in (*verdict.violations, *others))


def findings_lead(verdict: Verdict) -> str:
    """How many checks were violated, or could not decide."""
    violations = len(verdict.violations)
    undecided = sum(finding.status is Outcome.INCONCLUSIVE for finding in verdict.findings)
    if not violations and undecided:
        return f"No rule was violated; {undecided} of {len(verdict.findings)} checks could not decide."
    if not violations:
        return "No rule was violated."
    return f"{violations} of {len(verdict.findings)} checks {'was' if violations == 1 else 'were'} violated."


def findings_rest(verdict: Verdict) -> str:
    """What folds away."""
    violations = max(0, len(verdict.violations) - SHOWN)
    among = f"{violations} of them violations" if violations else "none of them a violation"
    return f"{len(verdict.findings) - SHOWN} more findings, {among}"


def _row(finding: Finding) -> FindingRow:
    return FindingRow(
        tone=finding.status.value,
        outcome=_OUTCOMES[finding.status],
        rule=finding.rule,
        tier=finding.tier,
        signal="all signals" if finding.signal == "*" else finding.signal,
        iteration=NOTHING if finding.iteration is None else str(finding.iteration),
        observed=relative(finding.observed, signed=True),
        allowed=relative(finding.allowed),
        used=multiple(finding.observed, finding.allowed),
        seen=relative(finding.smallest_detectable),
        message=unbroken(finding.message),
    )
