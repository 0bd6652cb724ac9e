"""A situation: what a person would see in two curves, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from harness.rules.bounded import percent
from harness.values.verdict import Outcome

__all__ = ["Situation", "signed"]


@dataclass(frozen=True)
class Situation:
    """What a person would see.

    Args:
        name: of the kind, for the finding.
        headline: at most 100 characters.
        outcome: what it means for the verdict: FAIL, INCONCLUSIVE, or INFO where it decides nothing.
        evidence: a sentence with the numbers.
        advice: what to do.
        iteration: where it begins.
        observed: the deviation there.
        allowed: what a healthy pair may show.
    """

    name: str
    headline: str
    outcome: Outcome
    evidence: str
    advice: str
    iteration: int | None = None
    observed: float | None = None
    allowed: float | None = None


def signed(relative: float) -> str:
    """A relative deviation as text, with its sign."""
    return f"{'+' if relative > 0 else '−'}{percent(abs(relative))}"
