"""`align history`: results of many builds, and what they say together."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from harness.cli.options import count_argument
from harness.cli.terminal import STATUS_STYLES, open_console, print_error
from harness.language import say
from harness.values.errors import AlignmentError, UsageError
from harness.values.verdict import Status

if TYPE_CHECKING:
    from harness.history.history_answer import Answer
    from harness.history.history_database import History
    from harness.values.result import Result

__all__ = ["add_history_options", "add_parser", "keep_result", "open_history"]

_DESCRIPTION = """\
Says what the builds of a device broke, since when, and what changed.

  align verify --history builds.db                     keep each result of a verification
  align history add alignment-report --history builds.db   keep results that were made before
  align history --history builds.db                    what they say: a summary, and a page in alignment-history/
  align history --history builds.db --json             the same as JSON
"""

_VARIABLE = "ALIGN_HISTORY"


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "history",
        help="which build broke what, drift, flaky cases",
        description=_DESCRIPTION,
        epilog="Needs the extra [history]: pip install 'alignment-harness[history]'. docs/history.md describes the "
        "tables. Exit code 0 whatever the history says: it is no gate.",
    )
    parser.add_argument("action", nargs="?", choices=("show", "add"), default="show", help="show, without a word")
    parser.add_argument("results", nargs="*", type=Path, metavar="RESULT", help="to add: a result.json, or a folder")
    add_history_options(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("alignment-history"), metavar="DIR", help="the page's folder; %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON, and write no page")
    parser.add_argument(
        "--last", type=count_argument, default=60, metavar="N", help="builds that the page's table shows; %(default)s"
    )
    parser.add_argument(
        "--window",
        type=count_argument,
        default=40,
        metavar="N",
        help="latest builds that are looked at for drift and sight; %(default)s",
    )
    parser.set_defaults(func=run)


def add_history_options(parser: argparse.ArgumentParser) -> None:
    """The options that name a history and a build, which `align verify` has too."""
    parser.add_argument(
        "--history",
        default="",
        metavar="URL",
        help="the database of results: a file's path, or postgresql://USER:PASSWORD@HOST/DATABASE "
        f"(default: ${_VARIABLE})",
    )
    parser.add_argument("--build", default="", metavar="NAME", help="what the build under test is called")


def open_history(arguments: argparse.Namespace, *, create: bool) -> History | None:
    """The history that is named by the option or the environment; None where none is.

    Raises:
        HistoryError: it can't be opened, or the extra is not installed.
    """
    url = arguments.history or os.environ.get(_VARIABLE, "")
    if not url:
        return None
    from harness.history.history_database import History

    return History(url, create=create)


def keep_result(history: History, result: Result, source: Path, label: str) -> None:
    """Keep a result; where that fails the verdict stands, and what to type is said: the report has the result."""
    from harness.history.history_rows import row_of
    from reports import record_of

    try:
        history.add(row_of(record_of(result), label=label, source=str(source.resolve())))
    except AlignmentError as error:
        error.hint = f"align history add {source} --history {history.shown}"
        print_error(error)


def run(arguments: argparse.Namespace) -> int:
    """Show a history, or add results to it."""
    if arguments.action == "show" and arguments.results:
        raise UsageError(
            "show takes no result",
            observed=str(arguments.results[0]),
            hint=f"align history add {arguments.results[0]} --history {arguments.history or 'URL'}",
        )
    history = open_history(arguments, create=arguments.action == "add")
    if history is None:
        raise UsageError(
            "no history is named", where=f"--history, ${_VARIABLE}", hint="align history --history builds.db"
        )
    try:
        return _add(history, arguments) if arguments.action == "add" else _show(history, arguments)
    finally:
        history.close()


def _add(history: History, arguments: argparse.Namespace) -> int:
    from harness.cli.report import result_files
    from harness.history.history_rows import row_of
    from reports.results.json_result import read_result

    if not arguments.results:
        raise UsageError("there is nothing to add", allowed="result.json files, or folders that hold some")
    files = [file for given in arguments.results for file in result_files(given)]
    records = [(file, read_result(file)) for file in files]  # all are read before one is added
    new = history.add_all(
        [row_of(record, label=arguments.build, source=str(file.resolve())) for file, record in records]
    )
    there = f"; {len(files) - new} were there already" if new < len(files) else ""
    open_console().print(Text(say(f"added {new} of {len(files)} results to {history.shown}{there}")))
    return 0


def _show(history: History, arguments: argparse.Namespace) -> int:
    from harness.history.history_answer import answer

    found = answer(history, window=arguments.window)
    if arguments.json:
        from harness.history.history_json import encode_answer

        sys.stdout.write(encode_answer(found))
        return 0
    _print(found)
    from harness.history.history_page import render_history
    from harness.store.atomic import write_text

    page = arguments.out / "history.html"
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_text(page, render_history(found, shown=history.shown, made=made, last=arguments.last))
    open_console().print(Text(f"{say('page')}: {page}"))
    return 0


def _print(found: Answer) -> None:
    from harness.history.history_words import (
        breakage_lines,
        broke_together,
        drift_line,
        flaky_line,
        summaries,
        tested_line,
    )

    console = open_console()
    for device in summaries(found):
        counts = ", ".join(f"{number} {status}" for status, number in device.counts.items() if number)
        builds = "1 build" if device.builds == 1 else f"{device.builds} builds"
        cases = "1 case" if device.cases == 1 else f"{device.cases} cases"
        said = say(f"{device.device}: {builds}; on the latest, {device.latest}, {cases}: ")
        console.print(Text(said) + Text(counts, style="bold"))
    if not found.timeline.series:
        console.print(Text(say("the history holds no result yet")))
        return
    for broke in broke_together(found):
        broken = broke.first.broken
        style = STATUS_STYLES[Status(broken.status)]
        shown = ", ".join(broke.cases[:8]) + (" …" if len(broke.cases) > 8 else "")
        number = say(f"{len(broke.cases)} cases, ") if len(broke.cases) > 1 else ""
        console.print(Text(broken.status, style=style) + Text(f" {number}{shown} ({broken.series.device})"))
        for line in breakage_lines(broke.first):
            console.print(Text(f"  {say(line)}"))
        console.print(Text(f"  {broken.series.case}: {say(broke.first.reason)}", style="dim"))
    for flaky in found.flaky:
        console.print(_marked("flaky") + Text(f"{flaky.series.case}: {say(flaky_line(flaky))}"))
    for drift in found.drifts:
        console.print(_marked("drift") + Text(f"{drift.series.case}: {say(drift_line(drift))}"))
    for blind in found.blind:
        said = say(f"{blind.series.case}, since {blind.since.title}: ") + say("; ").join(map(say, blind.what))
        console.print(_marked("sees less") + Text(said))
    for series, missed in found.absent:
        builds = "build" if missed == 1 else f"{missed} builds"
        said = f"{series.case} ({series.device}) was not judged on the latest {builds}"
        console.print(_marked("absent") + Text(say(said)))
    console.print(Text(say(tested_line(found)), style="dim"))


def _marked(what: str) -> Text:
    return Text(f"{say(what)} ", style="bold yellow")
