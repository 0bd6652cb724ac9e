"""The findings of a page: their order, and what is said of them all; the template shows each as it is."""

from __future__ import annotations

from harness.values.verdict import Finding, Outcome, Verdict

__all__ = ["SHOWN", "findings_lead", "findings_rest", "in_order", "outcome_words"]

SHOWN = 20
"""Findings in sight; the rest fold away."""

_ORDER = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO)

_OUTCOMES = {
    Outcome.FAIL: "violated",
    Outcome.INCONCLUSIVE: "undecided",
    Outcome.PASS: "kept",
    Outcome.INFO: "noted",
}


_SAID_ELSEWHERE = ("reading", "next step")
"""What a page of two logs says at its top, and under what was read of them."""


def in_order(verdict: Verdict) -> tuple[Finding, ...]:
    """Violations in the order of their iterations, then the undecided, then the rest as they were judged."""
    others = [
        finding
        for finding in verdict.findings
        if finding.status is not Outcome.FAIL and finding.rule not in _SAID_ELSEWHERE
    ]
    others.sort(key=lambda finding: _ORDER.index(finding.status))
    return (*verdict.violations, *others)


def outcome_words(outcome: Outcome) -> str:
    """An outcome as the page says it."""
    return _OUTCOMES[outcome]


def findings_lead(verdict: Verdict) -> str:
    """How many checks were violated, or could not decide."""
    violations = len(verdict.violations)
    undecided = sum(finding.status is Outcome.INCONCLUSIVE for finding in verdict.findings)
    if not violations and undecided:
        return f"No rule was violated; {undecided} of {_checks(verdict)} checks could not decide."
    if not violations:
        return "No rule was violated."
    return f"{violations} of {_checks(verdict)} checks {'was' if violations == 1 else 'were'} violated."


def findings_rest(verdict: Verdict) -> str:
    """What folds away."""
    violations = max(0, len(verdict.violations) - SHOWN)
    among = f"{violations} of them violations" if violations else "none of them a violation"
    return f"{_checks(verdict) - SHOWN} more findings, {among}"


def _checks(verdict: Verdict) -> int:
    return sum(finding.rule not in _SAID_ELSEWHERE for finding in verdict.findings)
