"""The formats that are known, as a table for people: made from the readers themselves."""

from __future__ import annotations

from collections.abc import Iterator

from harness.logs.delimited import TABLE_FORMATS
from harness.logs.documents import DOCUMENTS
from harness.logs.formats import FORMATS
from harness.logs.rows import JSON_FORMATS

__all__ = ["formats_table"]

_OTHERS = (
    ("TensorBoard event files", "events.out.tfevents.…", "any scalar"),
    ("block file", "=== CUDA ===, numbers, === SDAA ===, numbers", "loss, by position"),
    ("MLflow metric file", "1700000000000 2.31 10", "the file's name, or loss"),
    ("two columns", "1 2.31", "loss"),
    ("one column", "2.31", "loss, by position"),
    ("runs and results of this project", "trace.csv, trace.jsonl, result.json", "loss"),
)


def formats_table() -> str:
    """Every known format, its metric and a line of it, as Markdown."""
    rows = ["| format | what is taken for the loss | a record |", "|---|---|---|"]
    return "\n".join(rows + [f"| {name} | {losses} | `{example}` |" for name, example, losses in _rows()]) + "\n"


def _rows() -> Iterator[tuple[str, str, str]]:
    """Name, a record, and what is taken for the loss."""
    for known in (*FORMATS, *JSON_FORMATS, *TABLE_FORMATS):
        yield known.name, _cell(known.example), ", ".join(known.losses[:3]) or "loss"
    for name, example in DOCUMENTS:
        yield name, _cell(example), "loss"
    for name, example, losses in _OTHERS:
        yield name, _cell(example), losses


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table: one line of at most 110 characters."""
    line = " ⏎ ".join(text.split("\n")).replace("\t", " ").replace("|", "¦").strip()
    return line if len(line) <= 110 else f"{line[:109]}…"
