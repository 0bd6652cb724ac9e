"""What a person sees of two compared logs: the verdict first, its evidence, and the field's own rule beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from harness.cli.console import SafeConsole
from harness.cli.terminal import STATUS_STYLES
from harness.language import say
from harness.values.result import Result
from harness.values.verdict import Agreement, Finding, Outcome

__all__ = ["print_comparison"]

_OUTCOME_STYLES = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.INCONCLUSIVE: "yellow", Outcome.INFO: "dim"}


def print_comparison(result: Result, page: Path | None) -> None:
    """Print to standard output: the answer, what was read, the evidence, what to do next, the field's own rule.

    On a terminal it is wrapped in columns; elsewhere a finding is a line.

    Args:
        result: of two logs.
        page: the report's page; None where none was written.
    """
    console = SafeConsole(highlight=False)
    verdict = result.verdict
    status = (verdict.status.value, STATUS_STYLES[verdict.status])
    _print_rows(console, [[Text.assemble(status, f" {verdict.case}: {say(verdict.reason)}")]])
    said = {rule: [one for one in verdict.findings if one.rule == rule] for rule in ("reading", "next step")}
    _print_rows(console, [_finding_row(finding) for finding in said["reading"]])
    _print_rows(console, [_finding_row(one) for one in verdict.findings if one.rule not in said])
    _print_rows(console, [_finding_row(finding) for finding in said["next step"]])
    _print_rows(console, [_agreement_row(row) for row in verdict.agreements if _is_said(row)])
    if verdict.legacy is not None:
        console.print(f"{say('legacy rule')}:")
        for line in verdict.legacy.lines:
            console.print(Text(line), soft_wrap=True)
    if page is not None:
        console.print(f"{say('report')}: {page}", soft_wrap=True, markup=False)


def _finding_row(finding: Finding) -> list[Text]:
    said = Text(f"{finding.status.value:<12}", _OUTCOME_STYLES[finding.status])
    return [Text(f"  {finding.rule:<12}"), said, Text(say(finding.message))]


def _agreement_row(row: Agreement) -> list[Text]:
    sign = "=" if row.agrees else "≠"
    style = "red" if row.required and not row.agrees else ""
    return [Text(f"  {row.what:<16}", style), Text(f"{row.reference} {sign} {row.candidate}", style)]


def _is_said(row: Agreement) -> bool:
    """Whether at least one side says something about the property."""
    return not row.agrees or row.required


def _print_rows(console: SafeConsole, rows: Sequence[Sequence[Text]]) -> None:
    if not console.is_terminal:
        for row in rows:
            console.print(Text(" ").join(row), soft_wrap=True)
    elif rows:
        table = Table.grid(padding=(0, 1))
        for row in rows:
            table.add_row(*row)
        console.print(table)
