"""What a line of a log says, and what was read off many that say the same."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from harness.values.trace import FloatArray, IntArray

__all__ = ["Digits", "Meaning", "Reading", "Run", "S"]

_WIDEST_INTEGER = 7
_ROOM = 2  # digits that every number may grow by

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Meaning(Generic[S]):
    """What a line says.

    Args:
        structure: all but the numbers that stand at places.
        integers: ``epoch``, ``iteration``, … → where it begins in the line.
        decimals: metric → where its number begins in the line.
        values: of both, what was read.
        names: metrics that the line names, whether their values are kept or not.
    """

    structure: S
    integers: Mapping[str, int] = field(default_factory=dict)
    decimals: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Reading(Generic[S]):
    """What was read off the lines that fit one form.

    Args:
        starts: (N,) first byte of each line.
        meaning: of the line that the form was learned from.
        integers: as of the meaning → (N,).
        decimals: as of the meaning → (N,).
    """

    starts: IntArray
    meaning: Meaning[S]
    integers: Mapping[str, IntArray]
    decimals: Mapping[str, FloatArray]


class Digits(Enum):
    """What may change of a run of digits, so that its line says the same but for values."""

    TEXT = "nothing"
    STEADY = "its digits"
    FREE = "its digits and their number, with an exponent where it is no integer of the record"


@dataclass
class Run:
    """A run of digits of a line.

    Args:
        column: of the skeleton, where its first digit is.
        start: its first byte in the line.
        end: the byte behind its last digit.
        begin: where what precedes it begins: its sign, and all spaces but the first.
        after: the byte behind its exponent.
        integer: whether it is an integer of the record.
        digits: what may change.
        zero: whether it may be a zero alone.
        zeros: whether it may begin with a zero, and go on.
        sign: whether a minus may stand before it, or may not.
        spaces: whether there may be more or fewer spaces before it, one at least.
        room: how many digits it is tried with at most, where it is no integer of the record.
    """

    column: int
    start: int
    end: int
    begin: int
    after: int
    integer: bool
    digits: Digits = Digits.FREE
    zero: bool = True
    zeros: bool = True
    sign: bool = False
    spaces: bool = False
    room: int = 0

    @property
    def widest(self) -> int:
        """How many digits, and bytes of an exponent, are tried, and read, at most."""
        if self.integer:
            return max(_WIDEST_INTEGER, self.end - self.start)
        return max(self.room, self.after - self.start + _ROOM)
