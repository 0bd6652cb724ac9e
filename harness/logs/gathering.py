"""What is found while a log is read: values in the order of the log, and what was odd about it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from harness.values.trace import FloatArray, IntArray

__all__ = ["UNKNOWN", "Column", "Gathering"]

UNKNOWN = -1
"""Stands for an iteration, epoch or rank that a record does not print."""


@dataclass
class Column:
    """One metric's values in the order of the log: epoch, iteration, rank and value a record. 32 bytes each."""

    epochs: array[int] = field(default_factory=lambda: array("q"))
    iterations: array[int] = field(default_factory=lambda: array("q"))
    ranks: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def append(self, epoch: int, iteration: int, rank: int, value: float) -> None:
        """Take one record's value."""
        self.epochs.append(epoch)
        self.iterations.append(iteration)
        self.ranks.append(rank)
        self.values.append(value)

    def extend(self, epochs: IntArray, iterations: IntArray, ranks: IntArray, values: FloatArray) -> None:
        """Take many records' values; each array is (N,)."""
        self.epochs.frombytes(np.ascontiguousarray(epochs, np.int64).data.cast("B"))
        self.iterations.frombytes(np.ascontiguousarray(iterations, np.int64).data.cast("B"))
        self.ranks.frombytes(np.ascontiguousarray(ranks, np.int64).data.cast("B"))
        self.values.frombytes(np.ascontiguousarray(values, np.float64).data.cast("B"))

    def __len__(self) -> int:
        return len(self.values)


@dataclass
class Gathering:
    """Collects a log's records while it streams by.

    Args:
        keep: decides by a metric's name whether its values are kept; of the others only the names are.
        columns: metric → its values.
        names: of all metrics, in the order of their first appearance.
        epoch_length: iterations of an epoch, where the log says so.
        per_epoch: whether the log's format numbers iterations from the start of their epoch.
        window: over how many iterations a printed value is a mean.
        head: the first bytes of the text, where settings are printed.
    """

    keep: Callable[[str], bool]
    columns: dict[str, Column] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    epoch_length: int = 0
    per_epoch: bool = False
    window: int = 1
    head: bytes = b""
    _counts: Counter[str] = field(default_factory=Counter)

    def column(self, metric: str) -> Column | None:
        """The metric's column; None where its values are not kept."""
        if metric not in self.names:
            self.names[metric] = None
            if self.keep(metric):
                self.columns[metric] = Column()
        return self.columns.get(metric)

    def note(self, sentence: str, count: int = 1) -> None:
        """Remember an oddity; ``{count}`` in its sentence becomes how often it was met."""
        self._counts[sentence] += count

    @property
    def decisions(self) -> tuple[str, ...]:
        """One sentence for each kind of oddity."""
        return tuple(sentence.replace("{count}", f"{count:,}") for sentence, count in self._counts.items())
