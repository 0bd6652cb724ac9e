"""The terms that a verdict stands on, in words: the same on every page, in the terminal and in every file."""

from __future__ import annotations

from harness.values.terms import Against, Terms

__all__ = ["QUESTIONS", "terms_lines"]

QUESTIONS = {
    Against.BASELINE: "Does it train like the reference?",
    Against.HOST: "Does each operation compute what float64 makes of its inputs? No reference was asked.",
    Against.LOGS: "Does it train like the reference? Judged by logs alone.",
}
"""What a verdict answers."""


def terms_lines(terms: Terms) -> list[str]:
    """What was asked, what of the case's own gate was left out, and what else weakens the answer; a line each."""
    lines = []
    if terms.against is Against.HOST:
        lines.append("no reference was asked")
    if terms.left_out:
        lines.append(f"left out of the case's own gate: {', '.join(terms.left_out)}")
    lines += terms.remarks
    if terms.asked:
        lines.append(f"asked: {', '.join(terms.asked)}")
    return lines
