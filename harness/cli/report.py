"""`align report`: results of many machines, merged into one index."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.values.errors import UsageError

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "report",
        help="merge results into one index",
        description="Reads result.json files, or folders that hold them, and writes one index of them all.",
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT", help="a result.json, or a folder")
    parser.add_argument("--out", type=Path, default=Path("alignment-report"), metavar="DIR", help="the index's folder")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Merge."""
    import reports

    found = [path for given in arguments.results for path in _results(given)]
    print(f"report: {reports.merge(found, arguments.out)}")
    return 0


def _results(given: Path) -> list[Path]:
    if given.is_dir():
        found = sorted(given.rglob("result.json"))
        if not found:
            raise UsageError("the folder holds no result", where=given, allowed="a folder with result.json files in it")
        return found
    return [given]
