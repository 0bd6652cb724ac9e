"""Logs of lines, streamed: the bulk by forms, what fits none line by line."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.logs.forms import Forms
from harness.logs.gathering import UNKNOWN, Gathering, count_before
from harness.logs.meaning import Meaning, Reading
from harness.logs.records import LineReader, Record, RowError
from harness.values.trace import IntArray

__all__ = ["holds_records", "read_text"]

_INTEGERS = ("epoch", "iteration", "rank")
_THOUSAND = 1000.0
_GROUPED = re.compile(rb"[+-]?\d{1,3}(?:,\d{3}){1,6}(?![\d.])")


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
    forms = Forms(lambda line: _meaning(line, reader, found), reader.marker, groups=reader.groups)
    for number, piece in enumerate(pieces):
        _read_piece(piece, reader, marker if number else _ANY, forms, above, found)
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
    forms: Forms[_Structure],
    above: _Above,
    found: Gathering,
) -> None:
    """Gather one piece."""
    readings, gaps = forms.read(piece)
    rows = _Rows()
    for start, end in gaps:
        for at, record in _records(piece, reader, marker, start, end, found):
            rows.append(at, record)
            _note(record, found)
            found.records += 1
            if record.lacks and not any(found.keep(name) for name in record.values):
                found.lacking[record.iteration] = record.lacks
    named = [(int(reading.starts[0]), reading.meaning.names) for reading in readings]
    for _, names in sorted([*named, *rows.named], key=lambda one: one[0]):
        for name in names:
            found.column(name)
    for reading in readings:
        _note(Record(length=reading.meaning.structure.length, total=reading.meaning.structure.total), found)
    _gather(readings, rows, above, found)


@dataclass(frozen=True)
class _Structure:
    """What a record says beside its numbers at places."""

    length: int
    total: int
    kept: tuple[str, ...]


def _meaning(line: bytes, reader: LineReader, found: Gathering) -> Meaning[_Structure] | None:
    """What a line says that holds one record; None where more is to be said of it than its numbers."""
    try:
        records = list(itertools.islice(reader.read_line(line), 2))
    except RowError:
        return None
    if len(records) != 1:
        return None
    record = records[0]
    kept = tuple(name for name in record.values if found.keep(name))
    integers = {name: record.places[name] for name in _INTEGERS if name in record.places}
    known = [name for name in _INTEGERS if getattr(record, name) != UNKNOWN]
    if known != list(integers) or not all(name in record.places for name in kept):
        return None
    if record.contradictions or record.odd or (record.lacks and not kept):
        return None
    values = {name: record.values[name] for name in kept} | {name: getattr(record, name) for name in known}
    return Meaning(
        _Structure(record.length, record.total, kept),
        integers,
        {name: record.places[name] for name in kept},
        values,
        tuple(record.values),
    )


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
    named: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)

    def append(self, at: int, record: Record) -> None:
        numbers = (at, record.epoch, record.iteration, record.rank)
        if not record.values:
            self.above.append(numbers)
        if any(name not in self.rows for name in record.values):
            self.named.append((at, tuple(record.values)))
        for name, value in record.values.items():
            self.rows.setdefault(name, []).append(numbers)
            self.values.setdefault(name, []).append(value)


def _gather(readings: Sequence[Reading[_Structure]], rows: _Rows, above: _Above, found: Gathering) -> None:
    """Both kinds of reading, merged in the order of the log, each numbered by what stands above it."""
    numbering = [(reading.starts, *_numbers(reading)) for reading in readings if not reading.meaning.names]
    slow = np.array(rows.above, np.int64).reshape(-1, 4).T
    over = [np.concatenate(parts) for parts in zip(tuple(slow), *numbering, strict=True)] if numbering else list(slow)
    over = [column[np.argsort(over[0], kind="stable")] for column in over]
    valued = [reading for reading in readings if reading.meaning.names]
    for name in dict.fromkeys([*(name for reading in valued for name in reading.decimals), *rows.rows]):
        if (column := found.column(name)) is None:
            continue
        parts = [
            (reading.starts, *_numbers(reading), reading.decimals[name])
            for reading in valued
            if name in reading.decimals
        ]
        if name in rows.rows:
            at, *numbers = np.array(rows.rows[name], np.int64).T
            parts.append((at, numbers[0], numbers[1], numbers[2], np.array(rows.values[name], np.float64)))
        at, epochs, iterations, ranks, values = parts[0]
        if len(parts) > 1:
            order = np.argsort(np.concatenate([part[0] for part in parts]), kind="stable")
            at, epochs, iterations, ranks, values = (
                np.concatenate(columns)[order] for columns in zip(*parts, strict=True)
            )
        if len(over[0]) or above != _Above():
            epochs, iterations, ranks = _numbered(at, (epochs, iterations, ranks), over, above)
        column.extend(epochs, iterations, ranks, values)
    if len(over[0]):
        above.epoch, above.iteration, above.rank = (
            int(column[-1]) if column[-1] != UNKNOWN else old
            for column, old in zip(over[1:], (above.epoch, above.iteration, above.rank), strict=True)
        )


def _numbered(at: IntArray, numbers: Sequence[IntArray], over: Sequence[IntArray], above: _Above) -> list[IntArray]:
    """Numbers of records, those that they don't print taken from the last line above that does."""
    last = count_before(over[0], at)
    before = (above.epoch, above.iteration, above.rank)
    numbered = []
    for mine, column, old in zip(numbers, over[1:], before, strict=True):
        known = mine != UNKNOWN
        carried = None if known.all() else _carried(column, old)
        numbered.append(mine if carried is None else np.where(known, mine, carried[last]))
    return numbered


def _carried(column: IntArray, old: int) -> IntArray | None:
    """(N + 1,) what was said before N lines above records, and what each of them says, or the last one that does.

    None where nothing is said of it.
    """
    carried = np.concatenate([[old], column])
    known = carried != UNKNOWN
    if not known[1:].any():
        return None if old == UNKNOWN else np.full(len(carried), old)
    if not known[1:].all():
        carried = carried[np.maximum.accumulate(np.where(known, np.arange(len(carried)), 0))]
    return carried


def _numbers(reading: Reading[_Structure]) -> tuple[IntArray, IntArray, IntArray]:
    unknown = np.broadcast_to(np.int64(UNKNOWN), len(reading.starts))
    epochs, iterations, ranks = (reading.integers.get(name, unknown) for name in _INTEGERS)
    return epochs, iterations, ranks
