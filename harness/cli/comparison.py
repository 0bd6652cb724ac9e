"""What a person sees of two compared logs: the verdict first, its evidence, and the field's own rule beside it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from harness.values.result import Result
from harness.values.verdict import Outcome, Status, Verdict

__all__ = ["print_comparison"]

_STATUS_STYLES = {
    Status.PASS: "bold green",
    Status.FAIL: "bold red",
    Status.ERROR: "bold magenta",
    Status.INCONCLUSIVE: "bold yellow",
}
_OUTCOME_STYLES = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.INCONCLUSIVE: "yellow", Outcome.INFO: "dim"}
_INDENT = 18


def print_comparison(result: Result, page: Path | None) -> None:
    """Print to standard output; plain, unwrapped lines where it is not a terminal.

    Args:
        result: of two logs.
        page: the report's page; None where none was written.
    """
    console = Console(highlight=False)
    verdict = result.verdict
    _print(
        console, Text(verdict.status.value, _STATUS_STYLES[verdict.status]) + Text(f" {verdict.case}: {verdict.reason}")
    )
    for finding in verdict.findings:
        label = Text(f"  {finding.rule:<12} ") + Text(f"{finding.status.value:<12} ", _OUTCOME_STYLES[finding.status])
        _print(console, label + Text(finding.message))
    _print_settings(console, verdict)
    if verdict.legacy is not None:
        _print(console, Text("legacy rule:"))
        for line in verdict.legacy.lines:
            console.print(Text(line), soft_wrap=True)
    if page is not None:
        console.print(f"report: {page}", soft_wrap=True)


def _print_settings(console: Console, verdict: Verdict) -> None:
    printed = [row for row in verdict.agreements if "not printed" not in (row.reference, row.candidate) or row.agrees]
    for row in printed:
        if row.reference == row.candidate == "not printed":
            continue
        mark = "=" if row.agrees else "≠"
        style = "red" if row.required and not row.agrees else ""
        _print(console, Text(f"  {row.what:<16} {row.reference} {mark} {row.candidate}", style))


def _print(console: Console, text: Text) -> None:
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, 0)))
    else:
        console.print(text, soft_wrap=True)
