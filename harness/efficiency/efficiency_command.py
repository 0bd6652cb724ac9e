"""`align efficiency`: what attention blocks cost beside non-local ones, and whether their papers' claims hold here."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from harness.cli.terminal import open_console, plain_table
from harness.language import say
from harness.store.atomic import write_text
from harness.store.decoding import encode_value

if TYPE_CHECKING:
    from harness.efficiency.measurement import Row

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "efficiency",
        help="measure attention blocks beside non-local ones",
        description="Measures multiply–accumulates, peak memory and time of each model's attention block beside a "
        "non-local block, on the papers' feature maps, in one run: forward and backward as in training and, of ANN's, "
        "also the forward pass alone as its authors measure it. A paper's claim stands beside the measurement that it "
        "was made of.",
        epilog="The largest map is 256×128: there one pass of a non-local block takes a minute on two cores.",
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="ann, ccnet, emanet, ocrnet (default: all)")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda, or another that `align doctor` lists")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios here: .svg, .png or .pdf")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and show each row as it is there."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler, which weighs the memory, talks otherwise
    from harness.efficiency.efficiency_report import Saving, draw_efficiency
    from harness.efficiency.measurement import measure

    console = open_console(stderr=True)
    rows = []
    for row in measure(arguments.models, arguments.device):
        rows.append(row)
        console.print(say(f"measured {row.block} at {_size(row)}"))
    open_console().print(_table(rows))
    if arguments.json:
        write_text(arguments.json, encode_value({"rows": rows}))
    if arguments.plot:
        savings = [
            Saving(f"{row.block}, {_size(row)}, {row.measured}", row.gmac_ratio, row.memory_ratio, row.time_ratio)
            for row in rows
        ]
        draw_efficiency(savings, arguments.plot)
    return 0


def _table(rows: list[Row]) -> Table:
    table = plain_table(
        *("block", "against", "map", "of", "GMAC", "MB", "s", "GMAC ratio", "memory ratio", "time ratio", "claim"),
        left={"block", "against", "map", "of", "claim"},
    )
    for row in rows:
        measured = (f"{row.gmac:.3g}", f"{row.memory_bytes / 1e6:.0f}", f"{row.seconds:.3g}")
        ratios = map(_ratio, (row.gmac_ratio, row.memory_ratio, row.time_ratio))
        table.add_row(
            f"{row.model} {row.block}", row.against, _size(row), row.measured, *measured, *ratios, row.claim or "—"
        )
    return table


def _ratio(value: float | None) -> str:
    return "—" if value is None else f"{value:.3g}×"


def _size(row: Row) -> str:
    return "×".join(map(str, row.shape))
