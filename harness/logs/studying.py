"""Which digits of a line its reading depends on: asked of the reader itself, by trying.

A line's skeleton is not all that its reading depends on: ``3/100`` names an epoch's length, ``acc1`` and ``acc5`` are
two names, and ``0.5`` is no iteration where ``5.0`` is one. So before lines are read by their skeleton, the first of
them is read again with its numbers changed: other digits, none but zeros behind the point, wider, narrower, negative,
with an exponent, further to the right. Where it says the same but for the values, the digits are free; where only their
width matters, they are steady; else they are part of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic

import numpy as np

from harness.logs.meaning import Digits, Meaning, Run, S
from harness.logs.numerals import NUMBER
from harness.logs.skeletons import OPENERS, skeleton_of

__all__ = ["study"]

_NUMBER = re.compile(NUMBER)
_DIGITS = re.compile(rb"\d+")
_JOINTS = frozenset([b":", b"-"])
_ROOMS = (20, 8, 0)  # digits that numbers are tried with; fewer where a line may not be so long
_PADDING = b" " * 8
_OPENING = {bytes([character]) for character in OPENERS}
_MOST_RUNS = 400  # of digits in a line that is studied
_MOST_READINGS = 400  # of one line


def study(
    line: bytes, read: Callable[[bytes], Meaning[S] | None], *, groups: bool
) -> tuple[Meaning[S], list[Run]] | None:
    """What a line says, and what may change of each of its runs of digits; None where it isn't to be read in bulk.

    Args:
        line: without its newline.
        read: its reader; None for a line that isn't to be read in bulk.
        groups: whether commas may stand inside numbers, between thousands.
    """
    meaning = read(line)
    if meaning is None:
        return None
    runs = list(_runs(line, meaning))
    if len(runs) > _MOST_RUNS:
        return None
    tries = _Tries(line, meaning, read, runs, _JOINTS | {b","} if groups else _JOINTS)
    try:
        return (meaning, runs) if tries.settle() else None
    except _TooManyError:
        return None


def _runs(line: bytes, meaning: Meaning[S]) -> Iterator[Run]:
    """The runs of digits of a line, those of exponents left out."""
    skeleton, places = skeleton_of(np.frombuffer(line + b"\n", np.uint8))
    at = places.tolist()
    integers = set(meaning.integers.values())
    for column in np.flatnonzero((skeleton >= ord("0")) & (skeleton <= ord("9"))).tolist():
        start = at[column]
        digits = _DIGITS.match(line, start)
        end = digits.end() if digits else start
        begin = at[column - 1] + 1 if column else start
        before = line[begin - 1 : begin] if begin else b""
        integer = start in integers
        signed = before in _OPENING and not integer
        yield Run(column, start, end, begin, at[column + 1], integer, sign=signed, spaces=before == b" ")


class _TooManyError(Exception):
    """A line that takes too many readings."""


_Change = Callable[[bytes, Run, int], bytes]
"""Line, run and a number to tell it from others → what stands there from its ``begin`` to its ``after``."""


def _around(line: bytes, run: Run, digits: bytes) -> bytes:
    return line[run.begin : run.start] + digits + line[run.end : run.after]


def _mixed(line: bytes, run: Run, number: int) -> bytes:
    return _around(line, run, bytes(b"123456789"[(3 + 5 * number + 2 * at) % 9] for at in range(run.end - run.start)))


def _whole(line: bytes, run: Run, number: int) -> bytes:
    """Fractions of nothing: numbers that are whole ones."""
    if line[run.start - 1 : run.start] == b".":
        return _around(line, run, b"0" * (run.end - run.start))
    return _mixed(line, run, number + 1)


def _zeros(line: bytes, run: Run, number: int) -> bytes:
    width = run.end - run.start
    width = max(width, 2) if run.digits is Digits.FREE else width
    return _around(line, run, b"0" * (width - 1) + b"4") if width > 1 else _mixed(line, run, number)


def _zero(line: bytes, run: Run, number: int) -> bytes:
    return (
        _around(line, run, b"0")
        if run.digits is Digits.FREE or run.end - run.start == 1
        else line[run.begin : run.after]
    )


def _negative(line: bytes, run: Run, number: int) -> bytes:
    """With a minus before it, or without the one that is there."""
    return line[run.begin : run.start].rstrip(b"-") + (b"" if _minus(line, run) else b"-") + line[run.start : run.after]


def _minus(line: bytes, run: Run) -> bool:
    return line[run.begin : run.start].endswith(b"-")


def _spaced(line: bytes, run: Run, number: int) -> bytes:
    return _PADDING + line[run.begin : run.after].lstrip(b" ")


def _wide(line: bytes, run: Run, number: int) -> bytes:
    exponent = b"" if run.integer else line[run.end : run.after]
    digits = bytes(b"123456789"[(number + at) % 9] for at in range(run.widest - len(exponent)))
    kept = _PADDING if run.spaces else line[run.begin : run.start].rstrip(b"-")
    return kept + (b"-" if run.sign or _minus(line, run) else b"") + digits + exponent


def _narrow(line: bytes, run: Run, number: int) -> bytes:
    kept = b"" if run.spaces else line[run.begin : run.start].rstrip(b"-")
    return kept + (b"-" if _minus(line, run) and not run.sign else b"") + b"%d" % (1 + number % 9)


def _small(line: bytes, run: Run, number: int) -> bytes:
    """With an exponent, where a number may end with this run."""
    behind = line[run.after : run.after + 2]
    ends = not run.integer and not re.match(rb"[\w]|\.\d", behind)
    return _narrow(line, run, number) + (b"e-05" if ends else b"")


_SAME_WIDTH: tuple[_Change, ...] = (_mixed, _whole)
_OTHER_WIDTH: tuple[_Change, ...] = (_wide, _narrow, _small)


@dataclass
class _Tries(Generic[S]):
    """Readings of one line with its numbers changed."""

    line: bytes
    meaning: Meaning[S]
    read: Callable[[bytes], Meaning[S] | None]
    runs: Sequence[Run]
    joints: frozenset[bytes]
    said: dict[bytes, bool] = field(default_factory=dict)

    def settle(self) -> bool:
        """Find out what may change of each run; whether all that may change may do so at once."""
        if not self._is_same(self.line, ()):
            return False
        self._judge_by_sight()
        for change in _SAME_WIDTH:
            for run in self._culprits(change, self._changing()):
                run.digits = Digits.TEXT
        for run in self._culprits(_zeros, self._changing()):
            run.zeros = False
        for run in self._culprits(_zero, self._changing()):
            run.zero = False
        for run in self._culprits(_negative, [run for run in self._changing() if run.sign]):
            run.sign = False
        for run in self._culprits(_spaced, [run for run in self._changing() if run.spaces]):
            run.spaces = False
        return self._settle_widths() and (
            all(self._stands(change, self._changing()) for change in _SAME_WIDTH)
            and self._stands(_zeros, [run for run in self._changing() if run.zeros])
            and self._stands(_zero, [run for run in self._changing() if run.zero])
        )

    def _settle_widths(self) -> bool:
        """Find out which runs may be wider and narrower; whether all of them may at once."""
        free = self._those(Digits.FREE)
        for room in _ROOMS:
            for run in free:
                run.digits, run.room = Digits.FREE, room
            for change in _OTHER_WIDTH:
                for run in self._culprits(change, self._those(Digits.FREE)):
                    run.digits = Digits.STEADY
            if all(self._stands(change, self._those(Digits.FREE)) for change in _OTHER_WIDTH):
                return True
        return False

    def _judge_by_sight(self) -> None:
        for run in self.runs:
            if not run.integer and self._is_text(run):
                run.digits = Digits.TEXT
            elif self._is_joined(run.start - 1, -1) or self._is_joined(run.end, 1):
                run.digits = Digits.STEADY

    def _is_text(self, run: Run) -> bool:
        """Whether a run is a total behind a slash or a part of a name: text, as many readings would show as well."""
        glued = self.line[run.start - 1 : run.start]
        if glued == b"T" and self.line[run.start - 2 : run.start - 1].isdigit():  # between a date and a time
            return False
        return glued.isalpha() or glued == b"_" or self.line[: run.begin].rstrip(b" ").endswith(b"/")

    def _is_joined(self, at: int, way: int) -> bool:
        """Whether a character and a digit beyond it make a run a part of a time, a date or a number with thousands.

        How many digits such parts have decides what they are: `12,345` is one number, `12,34` none.
        """
        return self.line[at : at + 1] in self.joints and self.line[at + way : at + way + 1].isdigit()

    def _those(self, digits: Digits) -> list[Run]:
        return [run for run in self.runs if run.digits is digits]

    def _changing(self) -> list[Run]:
        return [run for run in self.runs if run.digits is not Digits.TEXT]

    def _culprits(self, change: _Change, runs: Sequence[Run]) -> list[Run]:
        """Those of some runs that can't be changed so, found by halving."""
        if not runs or self._stands(change, runs):
            return []
        if len(runs) == 1:
            return list(runs)
        half = len(runs) // 2
        return [*self._culprits(change, runs[:half]), *self._culprits(change, runs[half:])]

    def _stands(self, change: _Change, runs: Sequence[Run]) -> bool:
        """Whether the line says the same with some runs changed."""
        if not runs:
            return True
        parts: list[bytes] = []
        moved: list[_Moved] = []
        done = length = 0
        for run in runs:
            new = change(self.line, run, run.column)
            number = length + run.begin - done
            parts += [self.line[done : run.begin], new]
            length = number + len(new)
            moved.append(_Moved(run.begin, run.after, number + len(new) - len(new.lstrip(b" ")), length))
            done = run.after
        return self._is_same(b"".join([*parts, self.line[done:]]), moved)

    def _is_same(self, line: bytes, moved: Sequence[_Moved]) -> bool:
        """Whether a changed line says the same, but for values, and these are the numbers that stand there."""
        if line not in self.said:
            self.said[line] = self._says_the_same(line, moved)
        return self.said[line]

    def _says_the_same(self, line: bytes, moved: Sequence[_Moved]) -> bool:
        if len(self.said) > _MOST_READINGS:
            raise _TooManyError
        new = self.read(line)
        if new is None or (new.structure, new.names) != (self.meaning.structure, self.meaning.names):
            return False
        for places, before, pattern in (
            (new.integers, self.meaning.integers, _DIGITS),
            (new.decimals, self.meaning.decimals, _NUMBER),
        ):
            if places.keys() != before.keys():
                return False
            for name, at in before.items():
                number = pattern.match(line, places[name])
                if places[name] != _place_of(at, moved) or number is None:
                    return False
                if repr(float(new.values[name])) != repr(float(number[0])):
                    return False
        return True


@dataclass(frozen=True)
class _Moved:
    """A run that was changed: from where to where it went, where its number begins now, and where it ends."""

    begin: int
    after: int
    number: int
    end: int


def _place_of(at: int, moved: Sequence[_Moved]) -> int:
    """Where a place of a line lies in the changed one."""
    for run in reversed(moved):
        if at >= run.after:
            return at + run.end - run.after
        if at >= run.begin:
            return run.number
    return at
