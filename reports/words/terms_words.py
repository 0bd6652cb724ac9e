"""The terms that a verdict stands on, in words: the same on every page, in the terminal and in every file."""

from __future__ import annotations

from harness.values.terms import Against, Terms

__all__ = ["QUESTIONS", "asked_lines", "terms_lines", "weaknesses"]

QUESTIONS = {
    Against.BASELINE: "Does it train like the reference?",
    Against.HOST: "Does each operation compute what float64 makes of its inputs? No reference was asked.",
    Against.LOGS: "Does it train like the reference? Judged by logs alone.",
    Against.ANSWERS: "Does it answer like the reference, with the same weights?",
    Against.ACCURACIES: "Does it train to the reference's accuracy? Judged by trained runs' scores.",
}
"""What a verdict answers."""


def terms_lines(terms: Terms) -> list[str]:
    """What weakens the answer, then what was asked; a line each."""
    return [*weaknesses(terms), *asked_lines(terms)]


def weaknesses(terms: Terms) -> list[str]:
    """What of the case's own gate was left out, and what else weakens the answer; none for a whole gate."""
    left_out = [f"left out of the case's own gate: {', '.join(terms.left_out)}"] if terms.left_out else []
    return [*left_out, *terms.remarks]


def asked_lines(terms: Terms) -> list[str]:
    """What was asked, in one line; none where nobody said."""
    return [f"asked: {', '.join(terms.asked)}"] if terms.asked else []
