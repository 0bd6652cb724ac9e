"""Ranking: which finding is told first."""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.values.verdict import Finding, Outcome

__all__ = ["violations_first"]


def violations_first(findings: Iterable[Finding]) -> list[Finding]:
    """Failures in the order of their iterations, the worst of an iteration first; then the rest as they came.

    A failure without an iteration is about the whole run, and comes after those that have one.
    """

    def rank(finding: Finding) -> tuple[bool, float, float]:
        if finding.status is not Outcome.FAIL:
            return True, 0, 0.0
        return False, math.inf if finding.iteration is None else finding.iteration, -_excess(finding)

    return sorted(findings, key=rank)


def _excess(finding: Finding) -> float:
    """How many times the bound was observed: infinitely often where there is no bound, or no number to hold to it."""
    if not finding.allowed or finding.observed is None or math.isnan(finding.observed):
        return math.inf
    return abs(finding.observed) / finding.allowed
