"""Which format a log has: found out from its first part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.logs.delimited import column_reader, table_reader
from harness.logs.formats import FORMATS
from harness.logs.guessing import GuessingReader
from harness.logs.metrics import keeps
from harness.logs.records import LineReader, Record, RowError
from harness.logs.rows import json_reader

__all__ = ["choose_reader", "guess_reader", "names_in"]

_WINDOW = 1 << 17  # bytes
_WINDOWS = 8
_LOSS = re.compile(rb"[lL]oss|LOSS|trl:|entropy|\d: {1,4}100%")
_NO_DIGITS = bytes(ord("0") if 48 <= character < 58 else character for character in range(256))
_LONGEST = 4000  # bytes of a line
_LINES = 16  # neighbours of a window, thrice of either kind
_NEAR = 100  # lines, thrice, in which those that speak of a loss are looked for first


def choose_reader(head: bytes, metric: str | None, path: Path) -> LineReader | None:
    """The reader of a log of lines whose format is known; None where it is none that is.

    Args:
        head: the log's first part, of whole lines.
        metric: what is asked for.
        path: the log, whose name may be that of its metric.
    """
    rows = json_reader(head[:200_000]) or table_reader(head[:200_000]) or column_reader(head, path)
    if rows is not None and _count(head.split(b"\n", 2000)[:2000], rows, metric, 1):
        return rows
    for start in range(0, min(len(head), _WINDOWS * _WINDOW), _WINDOW):
        lines = _sample(head[start : start + _WINDOW])
        shapes = {line.translate(_NO_DIGITS): line for line in reversed(lines)}  # one of those that differ in digits
        text = b"\n".join(shapes.values())
        likely = [reader for reader in FORMATS if reader.record.search(text)]
        counts = [_count(lines, reader, metric, 1 if len(likely) == 1 else len(lines)) for reader in likely]
        if any(counts):
            return likely[counts.index(max(counts))]
    return rows


def guess_reader(piece: bytes, metric: str | None) -> GuessingReader | None:
    """The reader of last resort, where a piece of a log holds something for it."""
    reader = GuessingReader()
    if metric is not None and "loss" not in metric.lower():
        last = re.split(r"[./]", metric)[-1].encode("utf-8", "replace")
        reader = replace(reader, marker=re.compile(re.escape(last), re.IGNORECASE))
    wanted = keeps(metric)
    for mark in reader.marker.finditer(piece):
        begin = piece.rfind(b"\n", 0, mark.start()) + 1
        end = piece.find(b"\n", mark.end())
        line = piece[begin : end if end >= 0 else len(piece)]
        if any(wanted(name) for record in reader.read_line(line) for name in record.values):
            return reader.fit(piece[: 1 << 18])
    fitted = reader.fit(piece[: 1 << 18])
    return fitted if fitted.commas and _count(piece[: 1 << 16].split(b"\n"), fitted, metric, 1) else None


def names_in(head: bytes) -> list[str]:
    """The names that stand before numbers in a log's first part, the most frequent first."""
    counts: dict[str, int] = {}
    for line in head[: 1 << 17].split(b"\n"):
        for record in GuessingReader().read_line(line[:2000]):
            for name in record.values:
                counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])


def _sample(window: bytes) -> list[bytes]:
    """Some lines of a window: those that speak of a loss, and others; neighbours, as they may alternate."""
    lines = window.split(b"\n")
    near = [line for begin in _begins(lines, _NEAR) for line in lines[begin : begin + _NEAR]]
    speaking = [line for line in near if _LOSS.search(line, 0, _LONGEST)]
    if not speaking:
        speaking = [line for line in lines if _LOSS.search(line, 0, _LONGEST)]
    sample = []
    for chosen in (speaking, lines):
        for begin in _begins(chosen, _LINES):
            sample += [line[:_LONGEST] for line in chosen[begin : begin + _LINES]]
    return list(dict.fromkeys(sample))


def _begins(lines: Sequence[bytes], count: int) -> list[int]:
    """Where some neighbours begin: at the start, in the middle and at the end."""
    return sorted({0, len(lines) // 2, max(len(lines) - count, 0)})


def _count(lines: list[bytes], reader: LineReader, metric: str | None, enough: int) -> int:
    """How many of some lines hold a record with the metric; no more than enough are looked for."""
    wanted = keeps(metric, reader.losses)
    found = 0
    for line in lines:
        try:
            records: list[Record] = list(reader.read_line(line))
        except RowError:
            continue
        found += any(wanted(name) for record in records for name in record.values)
        if found >= enough:
            break
    return found
