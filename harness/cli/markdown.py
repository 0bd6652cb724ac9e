"""A result as a block of Markdown, for a pull request."""

from __future__ import annotations

from harness.values.result import Result
from harness.values.verdict import Agreement

__all__ = ["escaped", "render_markdown"]


def render_markdown(result: Result) -> str:
    """The verdict, its findings, the settings that both sides print, and the legacy rule's four lines.

    Args:
        result: of two logs; whatever their text holds, it can't break out of the block.
    """
    from reports.words.terms_words import terms_lines

    verdict = result.verdict
    lines = [
        f"### `align compare`: {verdict.status.value} · {escaped(verdict.case)}",
        "",
        escaped(verdict.reason),
        "",
        *(f"*{escaped(line)}*  " for line in terms_lines(result.terms)),
        "",
        "| rule | says | finding |",
        "|---|---|---|",
        *(f"| {finding.rule} | {finding.status.value} | {escaped(finding.message)} |" for finding in verdict.findings),
    ]
    if verdict.agreements:
        lines += ["", "| setting | reference | candidate | |", "|---|---|---|---|"]
        lines += [
            f"| {escaped(row.what)} | {escaped(row.reference)} | {escaped(row.candidate)} | {_mark(row)} |"
            for row in verdict.agreements
        ]
    if verdict.legacy is not None:
        lines += ["", "The field's own rule, for comparison:", "", "```text", *verdict.legacy.lines, "```"]
    if result.command:
        lines += ["", f"<sub>{escaped(result.command)}</sub>"]
    return "\n".join(lines) + "\n"


def _mark(row: Agreement) -> str:
    """Whether the two sides agree, as far as both say something."""
    return "≠" if row.required and not row.agrees else "=" if row.agrees else "?"


def escaped(text: str) -> str:
    """A text on one line in which nothing is Markdown or HTML."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{character}" if character in "\\`*_|[]#@" else character for character in flat)
