"""The findings of a page: their order, and what is said of them all; the template shows each as it is."""

from __future__ import annotations

from harness.values.verdict import Finding, Outcome, Verdict

__all__ = ["SHOWN", "findings_lead", "findings_rest", "findings_shown", "in_order", "outcome_words"]

SHOWN = 5
"""Violated and undecided findings in sight; the rest, and all that are kept, fold away."""

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


def findings_shown(verdict: Verdict) -> int:
    """How many of the findings, in their order, are in sight."""
    open_ones = sum(finding.status in {Outcome.FAIL, Outcome.INCONCLUSIVE} for finding in in_order(verdict))
    return min(open_ones, SHOWN)


def findings_rest(verdict: Verdict) -> str:
    """What folds away."""
    folded = in_order(verdict)[findings_shown(verdict) :]
    violated = sum(finding.status is Outcome.FAIL for finding in folded)
    undecided = sum(finding.status is Outcome.INCONCLUSIVE for finding in folded)
    kept = sum(finding.status is Outcome.PASS for finding in folded)
    counted = (
        (violated, "violated"),
        (undecided, "undecided"),
        (kept, "kept"),
        (len(folded) - violated - undecided - kept, "noted"),
    )
    return "; ".join(f"{count} {words}" for count, words in counted if count)


def _checks(verdict: Verdict) -> int:
    return sum(finding.rule not in _SAID_ELSEWHERE for finding in verdict.findings)
