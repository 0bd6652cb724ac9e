"""Logs of lines, streamed: the bulk by layout, what is built otherwise line by line."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.logs.gathering import UNKNOWN, Gathering
from harness.logs.layout import Layout, Reading, gaps, learn_layout, read_by_layout
from harness.logs.records import LineReader, Record, RowError
from harness.values.trace import FloatArray, IntArray

__all__ = ["holds_records", "read_text"]

_INTEGERS = ("epoch", "iteration", "rank")
_WORTH_LEARNING = 64  # lines in a piece that may hold a record; fewer are read as fast one by one
_SAMPLE = 1 << 15  # bytes that a layout is tried on
_LONGEST_LEARNED = 1 << 14  # bytes of a line
_TRIED = 40  # records, after which no line was found to learn from
_THOUSAND = 1000.0
_GROUPED = re.compile(rb"[+-]?\d{1,3}(?:,\d{3}){1,6}(?![\d.])")
_KNOWN_NAMES = 200  # records after which only lines that may hold the metric are looked at


def holds_records(piece: bytes, reader: LineReader) -> int:
    """How many records with a value a format finds in a piece."""
    return sum(1 for _, record in _records(piece, reader, reader.marker) if record.values)


def read_text(pieces: Iterable[bytes], reader: LineReader, metric: str | None, found: Gathering) -> None:
    """Gather the records of a log of lines.

    Args:
        pieces: of whole lines.
        reader: of the log's format.
        metric: what is asked for; None for all.
        found: gets the records, in the order of the log.
    """
    marker = _marker(reader, metric)
    above = _Above()
    layouts: list[Layout] = []
    for number, piece in enumerate(pieces):
        layouts = _read_piece(piece, reader, marker if number else _ANY, layouts, above, found)
        found.check_records()


_ANY = re.compile(rb"[^\n]")


def _marker(reader: LineReader, metric: str | None) -> re.Pattern[bytes]:
    """What the lines hold that are looked at: every line where another metric than the loss is asked for."""
    if metric is None or "loss" not in metric.lower() or metric.lower() not in ("loss", *map(str.lower, reader.losses)):
        return _ANY
    return reader.marker


def _read_piece(
    piece: bytes,
    reader: LineReader,
    marker: re.Pattern[bytes],
    layouts: list[Layout],
    above: _Above,
    found: Gathering,
) -> list[Layout]:
    """Gather one piece; returns the layouts to try first on the next one."""
    if not layouts:
        layouts = _learn(piece, reader, found)
    readings = [read_by_layout(piece, layout) for layout in layouts]
    if 2 * sum(int((reading.ends - reading.starts).sum()) for reading in readings) < len(piece):
        relearned = _learn(piece, reader, found)
        if relearned != layouts:
            layouts, readings = relearned, [read_by_layout(piece, layout) for layout in relearned]
    rows = _Rows()
    for start, end in gaps(readings, len(piece)):
        looked = reader.marker if found.records > _KNOWN_NAMES and marker is not _ANY else marker
        for at, record in _records(piece, reader, looked, start, end, found):
            rows.append(at, record)
            _note(record, found)
            found.records += 1
            if record.lacks and not any(found.keep(name) for name in record.values):
                found.lacking[record.iteration] = record.lacks
    _gather(readings, rows, above, found)
    return layouts


def _records(
    piece: bytes,
    reader: LineReader,
    marker: re.Pattern[bytes],
    start: int = 0,
    end: int | None = None,
    found: Gathering | None = None,
) -> Iterator[tuple[int, Record]]:
    """The records between two line starts, with where their lines start; what is none is told to ``found``."""
    end = len(piece) if end is None else end
    while mark := marker.search(piece, start, end):
        begin = piece.rfind(b"\n", start, mark.start()) + 1 or start
        stop = piece.find(b"\n", mark.end(), end)
        stop = end if stop < 0 else stop
        try:
            for record in reader.read_line(line := piece[begin:stop]):
                if found is not None and max(map(abs, record.values.values()), default=0.0) >= _THOUSAND:
                    _note_odd_numbers(line, record, found)
                yield begin, record
        except RowError as odd:
            if found is not None:
                found.note(str(odd))
        start = stop


def _learn(piece: bytes, reader: LineReader, found: Gathering) -> list[Layout]:
    """The layouts of the piece's first line that holds one record, and of the first that numbers others."""
    if len(reader.marker.findall(piece, 0, 1 << 18)) < _WORTH_LEARNING:
        return []
    layouts: dict[bool, Layout] = {}
    for tried, (begin, record) in enumerate(_lone_records(piece, reader)):
        if tried > _TRIED or len(layouts) == 2:
            break
        kept = [name for name in record.values if found.keep(name)]
        numbers = not record.values
        if numbers in layouts or record.contradictions or not (kept or numbers):
            continue
        if not all(name in record.places for name in kept):
            continue
        line = piece[begin : piece.index(b"\n", begin)]
        for name in record.values:
            found.column(name)
        if layout := _best_layout(piece[begin : begin + _SAMPLE], line, reader, record, kept):
            _note(record, found)
            layouts[numbers] = layout
            if not numbers and "iteration" in record.places:
                break
    return list(layouts.values())


def _lone_records(piece: bytes, reader: LineReader) -> Iterator[tuple[int, Record]]:
    """The records that stand alone on a line of usual length."""
    start = 0
    while mark := reader.marker.search(piece, start):
        begin = piece.rfind(b"\n", start, mark.start()) + 1 or start
        start = piece.find(b"\n", mark.end())
        start = len(piece) if start < 0 else start
        if start - begin < _LONGEST_LEARNED:
            with contextlib.suppress(RowError):
                records = list(itertools.islice(reader.read_line(piece[begin:start]), 2))
                if len(records) == 1:
                    yield begin, records[0]


def _best_layout(sample: bytes, line: bytes, reader: LineReader, record: Record, kept: Sequence[str]) -> Layout | None:
    """Of the layouts by each anchor, the first that reads nine tenths of what the best one reads."""
    sample = sample[: sample.rfind(b"\n") + 1]
    integers = {name: record.places[name] for name in _INTEGERS if name in record.places}
    decimals = {name: record.places[name] for name in kept}
    best, most = None, 0
    for anchor in reader.anchors:
        layout = learn_layout(line, anchor, integers, decimals, record.guards, groups=reader.groups)
        if layout is None:
            continue
        reading = read_by_layout(sample, layout)
        read = int((reading.ends - reading.starts).sum())
        if read > 1.1 * most:
            best, most = layout, read
    return best


def _note_odd_numbers(line: bytes, record: Record, found: Gathering) -> None:
    """Tell of digits that spell more than float64 holds, no infinity that was printed; and of commas in numbers."""
    for name, value in record.values.items():
        at = record.places.get(name)
        if at is None or not found.keep(name):
            continue
        if math.isinf(value) and line[at : at + 2].lstrip(b"+-")[:1].isdigit():
            found.note("{count} value(s) of " + name + " are printed beyond float64's range: they count as infinite")
        elif value >= _THOUSAND and _GROUPED.match(line, at):
            found.note("{count} value(s) of " + name + " hold a comma and no point: it was taken to separate thousands")


def _note(record: Record, found: Gathering) -> None:
    found.total = max(found.total, record.total)
    if record.length:
        found.per_epoch = True
        found.epoch_length = max(found.epoch_length, record.length)
    for name in record.odd:
        if found.keep(name):
            found.note("{count} cell(s) of " + name + " hold no number and were left out")
    for name in record.contradictions:
        if found.keep(name):
            found.note("{count} record(s) print " + name + " twice with different values: the first counts")


@dataclass
class _Above:
    """What a line above says of the records that follow it, carried from one piece to the next."""

    epoch: int = UNKNOWN
    iteration: int = UNKNOWN
    rank: int = UNKNOWN


@dataclass
class _Rows:
    """Records read line by line, by metric: where the line starts, epoch, iteration, rank, value."""

    rows: dict[str, list[tuple[int, int, int, int]]] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)
    above: list[tuple[int, int, int, int]] = field(default_factory=list)

    def append(self, at: int, record: Record) -> None:
        numbers = (at, record.epoch, record.iteration, record.rank)
        if not record.values:
            self.above.append(numbers)
        for name, value in record.values.items():
            self.rows.setdefault(name, []).append(numbers)
            self.values.setdefault(name, []).append(value)


def _gather(readings: Sequence[Reading], rows: _Rows, above: _Above, found: Gathering) -> None:
    """Both kinds of reading, merged in the order of the log, each numbered by what stands above it."""
    numbering = [(reading.starts, *_numbers(reading)) for reading in readings if not reading.decimals]
    slow = np.array(rows.above, np.int64).reshape(-1, 4).T
    over = [np.concatenate(parts) for parts in zip(tuple(slow), *numbering, strict=True)] if numbering else list(slow)
    over = [column[np.argsort(over[0], kind="stable")] for column in over]
    valued = [reading for reading in readings if reading.decimals]
    for name in dict.fromkeys([*(name for reading in valued for name in reading.decimals), *rows.rows]):
        if (column := found.column(name)) is None:
            continue
        parts = [(reading.starts, *_numbers(reading)) for reading in valued if name in reading.decimals]
        values: list[FloatArray] = [reading.decimals[name] for reading in valued if name in reading.decimals]
        slow_at, *slow_numbers = np.array(rows.rows.get(name, []), np.int64).reshape(-1, 4).T
        parts.append((slow_at, slow_numbers[0], slow_numbers[1], slow_numbers[2]))
        values.append(np.array(rows.values.get(name, []), np.float64))
        at, *numbers = (np.concatenate(part) for part in zip(*parts, strict=True))
        joined = np.concatenate(values)
        if len(parts) > 1 and len(parts[-1][0]):
            order = np.argsort(at, kind="stable")
            at, joined = at[order], joined[order]
            numbers = [number[order] for number in numbers]
        if len(over[0]) or above != _Above():
            numbers = _numbered(at, numbers, over, above)
        column.extend(numbers[0], numbers[1], numbers[2], joined)
    if len(over[0]):
        above.epoch, above.iteration, above.rank = (
            int(column[-1]) if column[-1] != UNKNOWN else old
            for column, old in zip(over[1:], (above.epoch, above.iteration, above.rank), strict=True)
        )


def _numbered(at: IntArray, numbers: Sequence[IntArray], over: Sequence[IntArray], above: _Above) -> list[IntArray]:
    """Numbers of records, those that they don't print taken from the last line above that does."""
    last = np.searchsorted(over[0], at, side="right")
    before = (above.epoch, above.iteration, above.rank)
    return [
        np.where(mine == UNKNOWN, np.concatenate([[old], _carried(column, old)])[last], mine)
        for mine, column, old in zip(numbers, over[1:], before, strict=True)
    ]


def _carried(column: IntArray, old: int) -> IntArray:
    """What each line above says, or the last one before it that says something."""
    known = np.where(column != UNKNOWN, np.arange(len(column)), -1)
    last = np.maximum.accumulate(known) if len(known) else known
    return np.where(last >= 0, column[np.maximum(last, 0)] if len(column) else column, old)


def _numbers(reading: Reading) -> tuple[IntArray, IntArray, IntArray]:
    unknown = np.full(len(reading.starts), UNKNOWN, np.int64)
    epochs, iterations, ranks = (reading.integers.get(name, unknown) for name in _INTEGERS)
    return epochs, iterations, ranks
