"""Line logs, streamed: the bulk by layout, what is built otherwise line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from harness.logs.gathering import UNKNOWN, Gathering
from harness.logs.keyvalue import DIALECTS, Dialect, Record, read_line
from harness.logs.layout import Layout, Reading, learn_layout, read_by_layout
from harness.values.trace import IntArray

__all__ = ["choose_dialect", "read_text"]

_INTEGERS = ("epoch", "iteration", "rank")
_WORTH_LEARNING = 64  # records in a piece; fewer are read as fast line by line


def choose_dialect(piece: bytes, metric: str | None) -> Dialect | None:
    """The first dialect that a piece of a log holds records of; None where it holds none."""
    for dialect in (*DIALECTS[:2], DIALECTS[2].naming(metric)):
        if any(True for _ in _records(piece, dialect)):
            return dialect
    return None


def read_text(pieces: Iterable[bytes], dialect: Dialect, found: Gathering) -> None:
    """Gather the records of a line log.

    Args:
        pieces: of whole lines.
        dialect: what its records look like.
        found: gets the records, in the order of the log.
    """
    layout: Layout | None = None
    for piece in pieces:
        layout = _read_piece(piece, dialect, layout, found)


def _read_piece(piece: bytes, dialect: Dialect, layout: Layout | None, found: Gathering) -> Layout | None:
    """Gather one piece; returns the layout to try first on the next one."""
    if layout is None:
        layout = _learn(piece, dialect, found)
    reading = read_by_layout(piece, layout) if layout is not None else None
    if reading is None or 2 * int((reading.ends - reading.starts).sum()) < len(piece):
        relearned = _learn(piece, dialect, found)
        if relearned is not None and relearned != layout:
            layout, reading = relearned, read_by_layout(piece, relearned)
    rows = _Rows()
    gaps = [(0, len(piece))] if reading is None else _gaps(reading, len(piece))
    for start, end in gaps:
        for at, record in _records(piece, dialect, start, end):
            rows.append(at, record)
            _note(record, found)
    _gather(reading, rows, found)
    return layout


def _records(piece: bytes, dialect: Dialect, start: int = 0, end: int | None = None) -> Iterator[tuple[int, Record]]:
    """The records between two line starts, with where their lines start."""
    end = len(piece) if end is None else end
    while marker := dialect.marker.search(piece, start, end):
        begin = piece.rfind(b"\n", start, marker.start()) + 1 or start
        stop = piece.find(b"\n", marker.end(), end)
        stop = end if stop < 0 else stop
        for record in read_line(piece[begin:stop], dialect):
            yield begin, record
        start = stop


def _learn(piece: bytes, dialect: Dialect, found: Gathering) -> Layout | None:
    """The layout of the piece's first line that holds one record, as far as its metrics are kept."""
    if len(dialect.marker.findall(piece)) < _WORTH_LEARNING:
        return None
    for begin, record in _records(piece, dialect):
        kept = [name for name in record.values if found.keep(name)]
        if not kept or record.contradictions or not all(name in record.places for name in kept):
            continue
        line = piece[begin : piece.index(b"\n", begin)]
        if sum(1 for _ in read_line(line, dialect)) > 1:
            continue
        _note(record, found)
        for name in record.values:
            found.column(name)
        integers = {name: record.places[name] for name in _INTEGERS if name in record.places}
        return learn_layout(line, integers, {name: record.places[name] for name in kept})
    return None


def _gaps(reading: Reading, length: int) -> list[tuple[int, int]]:
    """The stretches of a piece that were not read by layout."""
    starts = np.concatenate([[0], reading.ends])
    ends = np.concatenate([reading.starts, [length]])
    left = np.flatnonzero(ends > starts)
    return list(zip(starts[left].tolist(), ends[left].tolist(), strict=True))


def _note(record: Record, found: Gathering) -> None:
    if record.epoch_length:
        found.per_epoch, found.epoch_length = True, max(found.epoch_length, record.epoch_length)
    for name in record.contradictions:
        if found.keep(name):
            found.note("{count} record(s) print " + name + " twice with different values: the first counts")


@dataclass
class _Rows:
    """Records read line by line, by metric: where the line starts, epoch, iteration, rank, value."""

    rows: dict[str, list[tuple[int, int, int, int]]] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)

    def append(self, at: int, record: Record) -> None:
        for name, value in record.values.items():
            self.rows.setdefault(name, []).append((at, record.epoch, record.iteration, record.rank))
            self.values.setdefault(name, []).append(value)


def _gather(reading: Reading | None, rows: _Rows, found: Gathering) -> None:
    """Both kinds of reading, merged in the order of the log."""
    names = dict.fromkeys([*(reading.decimals if reading else ()), *rows.values])
    for name in names:
        column = found.column(name)
        if column is None:
            continue
        slow = np.array(rows.rows.get(name, []), np.int64).reshape(-1, 4)
        values = np.array(rows.values.get(name, []), np.float64)
        at, epochs, iterations, ranks = slow.T
        if reading is not None and name in reading.decimals and len(reading.starts):
            fast = tuple(_integers(reading, key) for key in _INTEGERS)
            if not len(slow):
                column.extend(fast[0], fast[1], fast[2], reading.decimals[name])
                continue
            order = np.argsort(np.concatenate([reading.starts, at]), kind="stable")
            epochs, iterations, ranks = (
                np.concatenate(pair)[order] for pair in zip(fast, (epochs, iterations, ranks), strict=True)
            )
            values = np.concatenate([reading.decimals[name], values])[order]
        column.extend(epochs, iterations, ranks, values)


def _integers(reading: Reading, name: str) -> IntArray:
    return reading.integers.get(name, np.full(len(reading.starts), UNKNOWN, np.int64))
