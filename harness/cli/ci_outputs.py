"""What a CI shows of a run beside the exit code: Markdown for a pull request, GitHub's step summary and annotations."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.cli.console import shown
from harness.cli.markdown import escaped
from harness.values.result import Result
from harness.values.verdict import Status

__all__ = ["print_markdown", "render_results", "tell_github"]

_LISTED = 30
"""Cases told in full: a step summary may have 1 MiB, and nobody reads as much."""

_MARKS = {Status.PASS: "✅", Status.FAIL: "❌", Status.ERROR: "💥", Status.INCONCLUSIVE: "⚠️"}


def render_results(results: Sequence[Result], command: str, excused: Mapping[str, str] | None = None) -> str:
    """Verdicts as a table of Markdown; whatever their text holds, it can't break out of it.

    Args:
        results: of `align verify` or `align gate`.
        command: of `align`: ``verify``.
        excused: case → why a gate doesn't depend on its verdict.
    """
    from reports.words.terms_words import terms_lines

    passed = sum(result.verdict.status is Status.PASS for result in results)
    emulated = " · EMULATED, no evidence about real hardware" if any(result.emulated for result in results) else ""
    lines = [
        f"### `align {command}`: {passed} of {len(results)} aligned{emulated}",
        "",
        "| verdict | case | device | aligned at | why |",
        "|---|---|---|---|---|",
    ]
    ordered = sorted(results, key=lambda result: result.verdict.status is Status.PASS)
    for result in ordered[:_LISTED]:
        verdict = result.verdict
        device = result.candidate.device.label if result.candidate is not None else result.asked_device
        excuse = (excused or {}).get(verdict.case, "") if verdict.status is not Status.PASS else ""
        why = f"{excuse}; {verdict.reason}" if excuse else verdict.reason
        cells = (verdict.case, device, verdict.aligned_tier or "—", why)
        mark = "☑️" if excuse else _MARKS[verdict.status]
        lines.append(f"| {mark} {verdict.status.value} | {' | '.join(escaped(cell) for cell in cells)} |")
    if len(ordered) > _LISTED:
        lines += ["", f"and {len(ordered) - _LISTED} more, which the report lists"]
    if weak := list(dict.fromkeys(line for result in results for line in terms_lines(result.terms))):
        lines += ["", *(f"*{escaped(line)}*  " for line in weak[:_LISTED])]
    commands = list(dict.fromkeys(result.command for result in results if result.command))
    lines += ["", *(f"<sub>{escaped(each)}</sub>" for each in commands[:1])]
    return "\n".join(lines) + "\n"


def print_markdown(results: Sequence[Result], command: str, excused: Mapping[str, str] | None = None) -> None:
    """To standard output."""
    sys.stdout.write(shown(render_results(results, command, excused)))


def tell_github(results: Sequence[Result], command: str, excused: Mapping[str, str] | None = None) -> None:
    """In GitHub Actions: the table in the step's summary, and an annotation for each case that doesn't pass.

    Annotations go to standard error, which GitHub reads as well, so that what is redirected stays clean.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for result in results:
        verdict = result.verdict
        if verdict.status is not Status.PASS:
            level = "notice" if verdict.case in (excused or {}) else "error"
            title = _property(f"{verdict.status.value} {verdict.case}")
            sys.stderr.write(f"::{level} title={title}::{_data(verdict.reason)}\n")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(shown(render_results(results, command, excused)) + "\n")
        except OSError as failure:  # what a CI draws changes no verdict
            sys.stderr.write(f"::warning::the step's summary can't be written: {_data(str(failure))}\n")


def _data(text: str) -> str:
    """A message as a workflow command takes it: of several lines one."""
    return shown(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
