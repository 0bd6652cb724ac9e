"""A run as it happens: one JSON line an iteration; killed at any moment it leaves a trace that says it is cut short.

The first line says what was planned, the last one that the end was reached. Without that last line the run did not
reach it, whatever else the file holds. A row holds the signals that its iteration has: one that begins late is added by
the row that has it first, and one that a row lacks has no value there, which is something else than NaN.

Parameter groups that have had one learning rate at every iteration share a name. The first row says which groups a name
stands for, and so does the row in which they part: the new name has the old one's rates up to there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from harness.store.atomic import LARGEST_FILE, read_bytes, write_text
from harness.store.decoding import complete_lines, convert_value, decode_plain, encode_value
from harness.values.bounds import Count
from harness.values.errors import TraceError
from harness.values.trace import BoolArray, FloatArray, StateTable, Trace

__all__ = [
    "SCHEMA",
    "StreamEnd",
    "StreamHead",
    "StreamLine",
    "StreamRow",
    "TraceStream",
    "assemble_stream",
    "follow_stream",
    "read_stream",
]

SCHEMA = 2
"""1: the signals of the first row were those of all. Such a stream is read too."""

_SCHEMAS = (1, SCHEMA)

_LONGEST_TRAINING = 2**40
"""Bytes. A stream of our own is as long as its training; no disk holds more."""

_RATE = re.compile(r"lr(?:\.[1-9][0-9]{0,8})?")

Groups = Mapping[str, tuple[Count, ...]]
"""Name of a learning rate → the numbers of the parameter groups that have it."""


@dataclass(frozen=True)
class StreamHead:
    """The first line of a stream.

    Args:
        schema: of the stream.
        planned: how many iterations the run is to have.
    """

    schema: int
    planned: Count


@dataclass(frozen=True)
class StreamRow:
    """One iteration.

    Args:
        iteration: its number, from 0.
        signals: name → value, of those that the iteration has.
        batch: digest of the batch.
        state: tensor → norm, at the iterations where the state is recorded.
        evaluation: what the model answers in evaluation mode, by name, where it is asked.
        groups: which parameter groups each learning rate's name stands for, where that changes.
    """

    iteration: Count
    signals: Mapping[str, float]
    batch: str
    state: Mapping[str, float] | None = None
    evaluation: Mapping[str, float] | None = None
    groups: Groups | None = None

    def __post_init__(self) -> None:
        for name in self.groups or ():
            if not _RATE.fullmatch(name) or name not in self.signals:
                raise ValueError(f"the groups are of {name[:80]!r}, which is no learning rate of the iteration")


@dataclass(frozen=True)
class StreamEnd:
    """The last line of a run that reached its end."""

    end: Literal[True]


StreamLine = StreamHead | StreamRow | StreamEnd


class TraceStream:
    """Writes a run's iterations to disk, each as it happens.

    Args:
        path: the file; it must not exist.
        planned: how many iterations the run is to have.
        resumed: whether the run goes on with an earlier one: then the file may exist, and ``keep_before`` says how much
            of it stays. Until then it is left as it is.
    """

    def __init__(self, path: Path, planned: int, *, resumed: bool = False) -> None:
        self._path = path
        self._header = {"schema": SCHEMA, "planned": planned}
        self._file = path.open("a" if resumed else "x", encoding="utf-8", newline="\n")
        self.groups: Groups = {}
        if not resumed:
            self._write(self._header)

    def __enter__(self) -> TraceStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is None:
            self._write({"end": True})
        self._file.close()

    def keep_before(self, iteration: int) -> None:
        """Keep what lies before an iteration, and nothing else: a run that goes on from there makes the rest again.

        Raises:
            TraceError: the file can't be read, or doesn't hold every iteration before.
        """
        content = read_bytes(self._path, TraceError, largest=_LONGEST_TRAINING)
        rows = [line for line in _lines(content, self._path) if isinstance(line, StreamRow)] if content else []
        kept = [row for row in rows if row.iteration < iteration]
        if [row.iteration for row in kept] != list(range(iteration)):
            raise TraceError(
                "the trace lacks iterations before the one that the run goes on from",
                where=self._path,
                observed=f"{len(kept)} of {iteration}",
                hint="go on in the folder of the run that wrote the checkpoint",
            )
        self._file.close()
        text = "".join(encode_value(line, indent=None) for line in (self._header, *map(_document, kept)))
        write_text(self._path, text)
        self._file = self._path.open("a", encoding="utf-8", newline="\n")
        self.groups = next((row.groups for row in reversed(kept) if row.groups is not None), {})

    def append(
        self,
        iteration: int,
        signals: Mapping[str, float],
        batch: str,
        state: Mapping[str, float] | None = None,
        evaluation: Mapping[str, float] | None = None,
        groups: Groups | None = None,
    ) -> None:
        """Write one iteration, and hand it to the operating system before returning. See ``StreamRow``."""
        self.groups = self.groups if groups is None else groups
        self._write(_document(StreamRow(iteration, signals, batch, state, evaluation, groups)))

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(encode_value(line, indent=None))
        self._file.flush()


def read_stream(path: Path, largest: int | None = LARGEST_FILE) -> Trace:
    """The trace that a stream holds so far.

    Args:
        path: the file.
        largest: bytes; a larger file is refused. None for a stream of our own, however long the training.

    Raises:
        TraceError: the file is missing, too large, or holds something else than whole lines and one torn last line.
    """
    content = read_bytes(path, TraceError, largest=_LONGEST_TRAINING if largest is None else largest)
    return assemble_stream(_lines(content, path), path)


def follow_stream(path: Path, offset: int) -> tuple[list[StreamLine], int]:
    """The whole lines that were written since ``offset``, and the offset to go on from.

    Raises:
        TraceError: a line is something else, or longer than any of ours can be.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(min(LARGEST_FILE, os.fstat(file.fileno()).st_size - offset))
    except FileNotFoundError:
        return [], offset
    except OSError as failure:
        raise TraceError("the stream can't be read", where=path, observed=failure.strerror) from None
    whole = content[: content.rfind(b"\n") + 1]
    if not whole and len(content) == LARGEST_FILE:
        raise TraceError("a line of the stream is too long", where=path, allowed=f"{LARGEST_FILE} bytes")
    return _lines(whole, path, begins=offset == 0) if whole else [], offset + len(whole)


def _lines(content: bytes, path: Path, *, begins: bool = True) -> list[StreamLine]:
    lines = complete_lines(content)
    if not lines:
        raise TraceError("the stream holds no whole line", where=path, observed=f"{len(content)} bytes")
    return [
        _line(line, f"{path}:{number}" if begins else path, head=begins and number == 1)
        for number, line in enumerate(lines, 1)
    ]


def _line(line: bytes, where: object, *, head: bool) -> StreamLine:
    plain = decode_plain(line, where, TraceError)
    if head:
        schema = plain.get("schema") if isinstance(plain, dict) else None
        if type(schema) is not int or schema not in _SCHEMAS:
            raise TraceError("the stream has another schema", where=where, observed=schema, allowed=_SCHEMAS)
        return convert_value(plain, StreamHead, where, TraceError)
    if isinstance(plain, dict) and "end" in plain:
        return convert_value(plain, StreamEnd, where, TraceError)
    return convert_value(plain, StreamRow, where, TraceError)


def _document(row: StreamRow) -> Mapping[str, Any]:
    """What a row's line says: what it has not is left out."""
    return {name: value for name, value in vars(row).items() if value is not None}


def assemble_stream(lines: Iterable[StreamLine], where: object) -> Trace:
    """The trace that the lines of a stream hold, the head first.

    Args:
        lines: at least the head.
        where: the stream's file, for messages.

    Raises:
        TraceError: the lines are in another order, an iteration is left out or made twice, or one has no loss.
    """
    head, *rest = lines
    ended = bool(rest) and isinstance(rest[-1], StreamEnd)
    rows = [line for line in rest if isinstance(line, StreamRow)]
    if not isinstance(head, StreamHead) or len(rows) != len(rest) - ended:
        raise TraceError("the lines of the stream are in another order", where=where, allowed="head, rows, end")
    numbers = [row.iteration for row in rows]
    if numbers != list(range(len(rows))):
        at = next(place for place, number in enumerate(numbers) if place != number)
        raise TraceError("an iteration is left out or made twice", where=where, observed=numbers[at], allowed=at)
    signals, missing = _signals(rows)
    try:
        return Trace(
            iterations=np.arange(len(rows), dtype=np.int64),
            signals=signals or {"loss": np.empty(0)},
            planned=head.planned,
            complete=ended and len(rows) == head.planned,
            batches=tuple(row.batch for row in rows),
            state=_table(rows, [row.state for row in rows]),
            evaluation=_table(rows, [row.evaluation for row in rows]),
            missing=missing,
        )
    except TraceError as failure:
        failure.where = f"{where}: {failure.where}" if failure.where else where
        raise


def _signals(rows: Sequence[StreamRow]) -> tuple[dict[str, FloatArray], dict[str, BoolArray]]:
    """Every signal that a row has, in the order in which they appear, and where each has no value."""
    names = dict.fromkeys(name for row in rows for name in row.signals)
    signals = {name: np.array([row.signals.get(name, np.nan) for row in rows]) for name in names}
    missing = {name: np.array([name not in row.signals for row in rows]) for name in names}
    for old, new, before in _partings(rows):
        if old in signals and missing[new][:before].all():  # what a row says itself stays
            signals[new][:before] = signals[old][:before]
            missing[new][:before] = missing[old][:before]
    return signals, {name: gaps for name, gaps in missing.items() if gaps.any()}


def _partings(rows: Sequence[StreamRow]) -> list[tuple[str, str, int]]:
    """Where groups that had one learning rate part: the name that they had, the new one, and from which row on."""
    partings: list[tuple[str, str, int]] = []
    groups: Groups = {}
    for at, row in enumerate(rows):
        if row.groups is None:
            continue
        for new in row.groups.keys() - groups.keys():
            members = set(row.groups[new])
            partings += [(old, new, at) for old, olds in groups.items() if members and members <= set(olds)]
        groups = row.groups
    return partings


def _table(rows: Sequence[StreamRow], told: Sequence[Mapping[str, float] | None]) -> StateTable:
    """What some rows say of the state; a name that one of them lacks has no value there."""
    kept = [(row.iteration, values) for row, values in zip(rows, told, strict=True) if values is not None]
    names = tuple(dict.fromkeys(name for _, values in kept for name in values))
    numbers = np.array([[values.get(name, np.nan) for name in names] for _, values in kept], dtype=np.float64)
    missing = np.array([[name not in values for name in names] for _, values in kept], dtype=np.bool_)
    shape = (len(kept), len(names))
    iterations = np.array([iteration for iteration, _ in kept], dtype=np.int64)
    return StateTable(iterations, names, numbers.reshape(shape), missing.reshape(shape) if missing.any() else None)
