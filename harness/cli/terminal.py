"""What a person sees in the terminal: errors, a run's progress, verdicts. Plain text where it is not a terminal."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from harness.cli.console import SafeConsole
from harness.devices.choice import DeviceChoice
from harness.language import say
from harness.values.errors import AlignmentError
from harness.values.result import Result
from harness.values.verdict import Status

__all__ = [
    "STATUS_STYLES",
    "announce",
    "banner",
    "interim_line",
    "open_console",
    "plain_table",
    "print_error",
    "print_results",
    "shadow_lines",
]

STATUS_STYLES = {
    Status.PASS: "bold green",
    Status.FAIL: "bold red",
    Status.ERROR: "bold magenta",
    Status.INCONCLUSIVE: "bold yellow",
}

_EMULATED = "EMULATED device: no evidence about real hardware."
_FALLEN_BACK = "no accelerator asked for or found: using the EMULATED device, no evidence about real hardware"


def open_console(*, stderr: bool = False) -> SafeConsole:
    """A console as wide as the terminal, or as $COLUMNS says; wide enough for any table where there is neither."""
    console = SafeConsole(stderr=stderr, highlight=False, soft_wrap=True)
    if console.is_terminal or os.environ.get("COLUMNS", "").isdecimal():
        return console
    return SafeConsole(stderr=stderr, highlight=False, soft_wrap=True, width=200)


def print_error(error: AlignmentError) -> None:
    """An error, to standard error."""
    open_console(stderr=True).print(Text("ERROR ", style="bold magenta") + Text(say(str(error))))


def banner(text: str = _EMULATED) -> None:
    """A line that can't be missed, to standard error."""
    open_console(stderr=True).print(Text(f"▲ {say(text)}", style="bold yellow"))


def announce(choice: DeviceChoice) -> None:
    """The banner of a device that is no accelerator, or that nobody asked for; nothing for another."""
    if choice.emulated:
        banner(_FALLEN_BACK if choice.fallback else _EMULATED)
    elif choice.fallback:
        banner(
            f"no accelerator asked for or found, and the emulated device needs torch 2.13: using the {choice.name}, "
            "no evidence about an accelerator"
        )


def interim_line(results: Sequence[Result], planned: int) -> Text | None:
    """The verdict on the last of some cases, while others are still to come; None when all are there."""
    if len(results) >= planned:
        return None
    last = results[-1]
    verdict = Text(last.verdict.status.value, style=STATUS_STYLES[last.verdict.status])
    counted = say(f"{len(results)} of {planned}")
    return verdict + Text(f" {_where(last)} ({counted}): {say(last.verdict.reason)}")


class _PlainTable(Table):
    """A table; on a terminal that is narrower than its longest words, one line a value."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if Measurement.get(console, options.update(max_width=10_000), self).minimum <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        names = [str(column.header) for column in self.columns]
        for row in zip(*(column.cells for column in self.columns), strict=True):
            for name, value in zip(names, row, strict=True):
                yield Text.assemble((name, "bold"), ": ", value if isinstance(value, Text) else str(value))
            yield Text()


def _where(result: Result) -> str:
    """The case, with the card and the host where it was given one of several."""
    place = [f"card {result.card}"] if result.card else []
    place += [result.host] if result.host else []
    return f"{result.case} on {', '.join(place)}" if place else result.case


def plain_table(*columns: str, left: Collection[str] | None = None) -> Table:
    """A table without lines, its names bold: how every command lists things.

    Args:
        columns: their names.
        left: those that are aligned left, as words are; all of them where None.
    """
    table = _PlainTable(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        justify: JustifyMethod = "left" if left is None or name in left else "right"
        table.add_column(say(name), justify=justify, overflow="fold")  # else a word too many is cut off
    return table


def print_results(results: Sequence[Result], page: str) -> None:
    """The table of verdicts, the sentence of each with its terms, and where the report lies; to standard output."""
    from reports.words.terms_words import terms_lines

    console = open_console()
    names = ("case", "device", "verdict", "aligned at", "loss, largest deviation", "legacy")
    table = plain_table(*names)
    for result in results:
        verdict = result.verdict
        device = result.candidate.device.label if result.candidate else "—"
        legacy = verdict.legacy.verdict if verdict.legacy else "—"
        style = STATUS_STYLES[verdict.status]
        table.add_row(
            result.case,
            device,
            Text(verdict.status.value, style=style),
            verdict.aligned_tier or "—",
            _loss(result),
            legacy,
        )
    console.print(table)
    for result in results:
        style = STATUS_STYLES[result.verdict.status]
        said = f" {_where(result)}: {say(result.verdict.reason)}"
        console.print(Text(result.verdict.status.value, style=style) + Text(said))
        for line in (*terms_lines(result.terms), *shadow_lines(result)):
            console.print(Text(f"  {say(line)}"))
        if result.output and result.verdict.status is Status.ERROR:
            open_console(stderr=True).print(Text(result.output))
    if results and (made := results[-1].invocation) is not None:
        commit = f", commit {made.commit}" if made.commit else ""
        console.print(Text(f"{say('invocation')}: {made.label}, align {made.version}{commit}"))
    console.print(f"{say('report')}: {page}")


def shadow_lines(result: Result) -> list[str]:
    """What shadow ops say, in a few lines: coverage, effective precision, the worst tensor. None where none ran."""
    evidence = result.verdict.shadow
    if evidence is None:
        return []
    from harness.rules.bounded import percent
    from harness.training.unseen_code import COMPILER
    from reports.words.shadow_words import precisions_line, row_words, steps_words, worst_first

    violated = len(evidence.violations)
    lines = [
        f"shadow ops: {steps_words(evidence.iterations)} at {evidence.tier}; "
        f"{violated} of {len(evidence.rows) + evidence.left_out} tensors violated; "
        f"{percent(evidence.coverage.rate)} of the calls checked"
    ]
    if precisions := precisions_line(evidence.precisions):
        lines.append(f"effective precision: {precisions}")
    if COMPILER in evidence.coverage.skipped:
        lines.append(f"not checked: {COMPILER}, {evidence.coverage.skipped[COMPILER]}")
    lines += [f"cause: {cause.sentence}; {cause.evidence}" for cause in evidence.causes]
    if evidence.rows:
        lines.append(f"{'worst' if violated else 'closest to its bound'}: {row_words(worst_first(evidence)[0])}")
    return lines


def _loss(result: Result) -> str:
    envelope = result.verdict.envelopes.get("loss")
    if envelope is None or not len(envelope.deviation):
        return "—"
    from harness.rules.bounded import percent

    at = abs(envelope.deviation).argmax()
    return f"{percent(float(envelope.deviation[at]))} at {int(envelope.iterations[at])}"
