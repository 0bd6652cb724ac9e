"""Records: what a line of a log says of one iteration, and what every reader of lines is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from harness.logs.gathering import UNKNOWN

__all__ = ["LineReader", "Record", "RowError"]


class RowError(ValueError):
    """A line is no row of its table; says so in a sentence, with ``{count}`` for how many."""


@dataclass
class Record:
    """What a line says of one iteration. Without values it numbers the records that follow it.

    Args:
        epoch: number, or UNKNOWN.
        iteration: number, or UNKNOWN.
        rank: number, or UNKNOWN.
        length: iterations of an epoch, where the iteration is printed as one of an epoch's; else 0.
        total: what stands behind a slash after the iteration: of the whole training, or of an epoch; else 0.
        values: metric → value, by the first mention.
        places: name → where its number begins in the line: of the metrics that are printed once, and of ``epoch``,
            ``iteration`` and ``rank``.
        guards: where further text lies that tells such a line from others: ends of literal text.
        contradictions: metrics that the record prints twice, with different values.
        lacks: why it may hold no loss, where its format says so.
        odd: metrics that hold something else than a number.
    """

    epoch: int = UNKNOWN
    iteration: int = UNKNOWN
    rank: int = UNKNOWN
    length: int = 0
    total: int = 0
    values: dict[str, float] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    guards: tuple[int, ...] = ()
    contradictions: tuple[str, ...] = ()
    lacks: str = ""
    odd: tuple[str, ...] = ()

    def put(self, name: str, value: float, at: int | None) -> None:
        """Take a metric's value, if it is the first of its name."""
        if name not in self.values:
            self.values[name] = value
            if at is not None and name not in ("epoch", "iteration", "rank"):  # these are places of their own
                self.places[name] = at
            return
        self.places.pop(name, None)
        if repr(self.values[name]) != repr(value):
            self.contradictions += (name,)


class LineReader(Protocol):
    """Reads one log format line by line."""

    @property
    def name(self) -> str:
        """The format, in words."""

    @property
    def losses(self) -> tuple[str, ...]:
        """What the format calls the loss, the first that a log holds."""

    @property
    def window(self) -> int:
        """Over how many iterations a printed value is a mean or a median; 1 for the iteration's own."""

    @property
    def marker(self) -> re.Pattern[bytes]:
        """Something in each line that may hold a record."""

    @property
    def groups(self) -> bool:
        """Whether commas may stand inside numbers, between thousands; else they separate numbers."""

    @property
    def anchors(self) -> tuple[bytes, ...]:
        """Characters by which numbers may be found in a line, the likeliest first."""

    def read_line(self, line: bytes) -> Iterator[Record]:
        """The records of a line, in their order.

        Raises:
            RowError: the line is no row of the reader's table.
        """
