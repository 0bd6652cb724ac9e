"""What is found while a log is read: values in the order of the log, and what was odd about it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from harness.logs.limits import LIMITS
from harness.values.errors import LogError
from harness.values.trace import FloatArray, IntArray

__all__ = ["UNKNOWN", "Column", "Gathering", "count_before"]


UNKNOWN = -1
"""Stands for an iteration, epoch or rank that a record does not print."""


Numbers = TypeVar("Numbers", IntArray, FloatArray)

_Part = tuple[IntArray, IntArray, IntArray, FloatArray]


class Column:
    """One metric's values in the order of the log: epoch, iteration, rank and value a record. 32 bytes each.

    What comes in bulk is kept as it comes, and put together once: an array that grows by a little at a time is copied
    again and again.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._numbers: array[int] = array("q")
        self._values: array[float] = array("d")

    def append(self, epoch: int, iteration: int, rank: int, value: float) -> None:
        """Take one record's value."""
        self._numbers.extend((epoch, iteration, rank))
        self._values.append(value)

    def extend(self, epochs: IntArray, iterations: IntArray, ranks: IntArray, values: FloatArray) -> None:
        """Take many records' values; each array is (N,)."""
        self._close()
        self._parts.append((epochs, iterations, ranks, values))

    def read(self) -> _Part:
        """(N,) epochs, (N,) iterations, (N,) ranks and (N,) values of all records."""
        self._close()
        if len(self._parts) != 1:
            empty = np.empty(0, np.int64)
            parts = [(empty, empty, empty, np.empty(0)), *self._parts]
            epochs, iterations, ranks, values = (_concatenated(columns) for columns in zip(*parts, strict=True))
            self._parts = [(epochs, iterations, ranks, values)]
        return self._parts[0]

    def __len__(self) -> int:
        return sum(len(values) for *_, values in self._parts) + len(self._values)

    def _close(self) -> None:
        """Make a part of the records that came one by one."""
        if self._values:
            epochs, iterations, ranks = np.array(self._numbers, np.int64).reshape(-1, 3).T
            self._parts.append((epochs, iterations, ranks, np.array(self._values, np.float64)))
            self._numbers, self._values = array("q"), array("d")


def _concatenated(parts: Sequence[Numbers]) -> Numbers:
    """The parts one after another; what is one number throughout takes no memory."""
    filled = [part for part in parts if len(part)]
    if filled and all(part.strides == (0,) and part[0] == filled[0][0] for part in filled):
        return np.broadcast_to(filled[0][0], sum(map(len, filled)))
    return np.concatenate(parts)


def count_before(marks: IntArray, at: IntArray) -> IntArray:
    """How many marks stand before each of some places, or at it, (N,).

    Args:
        marks: (M,) places, rising.
        at: (N,) other places, rising.
    """
    if len(marks) == len(at) and np.all(marks < at) and np.all(at[:-1] < marks[1:]):  # in turn, as in most logs
        return np.arange(1, len(at) + 1)
    return np.searchsorted(marks, at, side="right")


@dataclass
class Gathering:
    """Collects a log's records while it streams by.

    Args:
        keep: decides by a metric's name whether its values are kept; of the others only the names are.
        columns: metric → its values.
        names: of all metrics, in the order of their first appearance.
        epoch_length: iterations of an epoch, where the log says so.
        total: what stands behind a slash after iterations: an epoch's length where the iterations start over with it.
        per_epoch: whether the log's format numbers iterations from the start of their epoch.
        states: whether records are states of a progress bar.
        head: the first bytes of the text, where settings are printed.
        records: how many were read.
        most_records: how many are read at most.
        lacking: iterations that the log prints without the metric → what the record says in its place.
    """

    keep: Callable[[str], bool]
    columns: dict[str, Column] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    epoch_length: int = 0
    total: int = 0
    per_epoch: bool = False
    states: bool = False
    head: bytes = b""
    records: int = 0
    most_records: int = LIMITS.records
    lacking: dict[int, str] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def column(self, metric: str) -> Column | None:
        """The metric's column; None where its values are not kept."""
        if metric not in self.names:
            self.names[metric] = None
            if self.keep(metric):
                self.columns[metric] = Column()
        return self.columns.get(metric)

    def check_records(self) -> None:
        """Refuse a log that holds more records than memory was planned for.

        Raises:
            LogError: it does.
        """
        most = max(map(len, self.columns.values()), default=0)
        if most > self.most_records:
            raise LogError(
                "the log holds more records than are read",
                observed=f"more than {most:,}",
                allowed=f"{self.most_records:,}",
                hint=f"--max-records {10 * self.most_records}",
            )

    def note(self, sentence: str, count: int = 1) -> None:
        """Remember an oddity; ``{count}`` in its sentence becomes how often it was met."""
        self._counts[sentence] += count

    @property
    def decisions(self) -> tuple[str, ...]:
        """One sentence for each kind of oddity."""
        return tuple(sentence.replace("{count}", f"{count:,}") for sentence, count in self._counts.items())
