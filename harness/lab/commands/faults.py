"""`align faults`: the faults that there are."""

from __future__ import annotations

import argparse
from typing import Any

from harness.cli.terminal import open_console, plain_table
from harness.lab.faults import FAULTS
from harness.language import say

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("faults", help="list the faults", description="Lists the faults for --fault.")
    parser.add_argument("--names", action="store_true", help="only the names, one per line")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """List them; always 0."""
    if arguments.names:
        print("\n".join(FAULTS))
        return 0
    table = plain_table("fault", "set", "strikes", "severity", "what it does", "what it stands for")
    for fault in FAULTS.values():
        severity = "—" if fault.severity is None else f"{fault.severity:g}"
        written = "blind" if fault.blind else "known"
        strikes, told = say(str(fault.strikes)), (say(text, "fault") for text in (fault.summary, fault.stands_for))
        table.add_row(fault.name, say(written), strikes, severity, *told)
    open_console().print(table)
    return 0
