"""`align report`: results of many machines, merged into one index."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from harness.cli.console import shown
from harness.cli.options import add_language_option
from harness.cli.terminal import STATUS_STYLES, open_console
from harness.cli.verify import worst
from harness.language import say
from harness.values.errors import UsageError

if TYPE_CHECKING:
    from reports import Record

__all__ = ["add_parser", "result_files", "show_records"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "report",
        help="merge results into one index",
        description="Reads result.json files, or folders that hold them, checks that each follows from what it holds, "
        "and writes one index of them all, or one file that can be mailed. A case that a command was to judge and "
        "didn't is an ERROR.",
        epilog="The exit code is that of the worst verdict: 0 PASS, 1 FAIL, 2 ERROR, 3 INCONCLUSIVE.",
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT", help="a result.json, or a folder")
    add_language_option(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="the index's folder (default: alignment-report; none with --bundle)",
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="write one file that can be mailed: FILE.zip holds the index, the pages and what lies beside them, "
        "FILE.html the index and the pages (default: none)",
    )
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Merge, and say the worst verdict by the exit code."""
    import reports

    found = [path for given in arguments.results for path in result_files(given)]
    written = []
    if arguments.bundle is not None:
        records = reports.write_bundle(found, arguments.bundle)
        written.append(arguments.bundle)
    if arguments.bundle is None or arguments.out is not None:
        merged = reports.merge(found, arguments.out or Path("alignment-report"))
        records = merged.records
        written.append(merged.index)
    show_records(records)
    for path in written:
        print(shown(f"{say('report')}: {path}"))
    return worst([record.verdict.status for record in records]).exit_code


def show_records(records: tuple[Record, ...]) -> None:
    """The verdict on each, and which invocations they belong to."""
    from reports.results.invocations import describe_parts, parts_of, warnings_of
    from reports.words.terms_words import terms_lines

    console = open_console()
    for record in records:
        verdict = record.verdict
        status = Text(verdict.status.value, style=STATUS_STYLES[verdict.status])
        device = f" ({record.device})" if record.device else ""
        console.print(status + Text(f" {verdict.case}{device}: {say(verdict.reason)}"))
        for line in terms_lines(record.terms):
            console.print(Text(f"  {say(line)}"))
    parts = parts_of(records)
    for line in describe_parts(parts):
        console.print(Text(say("holds ") + say(line)))
    for line in warnings_of(parts):
        console.print(Text(say("note: ") + say(line), style="bold yellow"))


def result_files(given: Path) -> list[Path]:
    """A result, or those that lie in a folder.

    Raises:
        UsageError: the folder holds none.
    """
    if given.is_dir():
        found = sorted(given.rglob("result.json"))
        if not found:
            raise UsageError("the folder holds no result", where=given, allowed="a folder with result.json files in it")
        return found
    return [given]
