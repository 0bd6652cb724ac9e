"""Forms of lines whose numbers vary in width, as regular expressions: what a log with all digits is read by.

An exact form wants lines of one length, and where every number is printed with as many digits as it has (JSON of
Python's floats) hardly two lines have the same. A skeleton takes several passes over the text to get at the same
lengths. One regular expression of the whole line takes one pass, and gives the numbers at once. It takes no line that
the loose form wouldn't.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.logs.meaning import Digits, Meaning, Run, S
from harness.logs.numerals import NUMBER
from harness.logs.skeletons import OPENERS
from harness.values.trace import FloatArray, IntArray

__all__ = ["LinePattern", "LinePatterns", "make_pattern"]

_NUMBER = re.compile(NUMBER)
_EXPONENT = rb"[eE][-+]\d{1,3}"
_LONGEST_EXPONENT = 5
_MOST_DIGITS = 18  # of an integer that int64 holds
_MOST_SPACES = 8  # more than the learned line has, before a number
_OPENING = {bytes([character]) for character in OPENERS}


Numbers = tuple[IntArray, dict[str, IntArray], dict[str, FloatArray]]
"""Which lines fit, (N,), and of each integer and decimal the values, (N,)."""


@dataclass(frozen=True)
class LinePattern:
    """The regular expression of a line, without its newline.

    Args:
        text: with a group for each number.
        integers: names of the integers.
        decimals: metrics.
        order: of the groups as they stand in the line: the number of each among integers and decimals.
    """

    text: bytes
    integers: tuple[str, ...]
    decimals: tuple[str, ...]
    order: tuple[int, ...]

    def read(self, groups: Sequence[Sequence[bytes]]) -> Numbers:
        """The numbers of the lines that fit.

        Args:
            groups: what each group matched in every line; of a line that doesn't fit it is empty.
        """
        rows = np.arange(len(groups[0]))
        if not all(groups[0]):
            fits = np.fromiter(map(bool, groups[0]), np.bool_, len(groups[0]))
            rows = np.flatnonzero(fits)
            groups = [list(itertools.compress(group, fits)) for group in groups]
        columns = dict(zip(self.order, groups, strict=True))
        integers = {
            name: np.fromstring(b" ".join(columns[number]), np.int64, sep=" ")
            for number, name in enumerate(self.integers)
        }
        decimals = {
            name: np.fromiter(map(float, columns[number]), np.float64, len(rows))
            for number, name in enumerate(self.decimals, len(self.integers))
        }
        finite = np.ones(len(rows), np.bool_)
        for values in decimals.values():  # digits beyond float64's range are left to the reading line by line
            finite &= np.isfinite(values)
        if finite.all():
            return rows, integers, decimals
        return (
            rows[finite],
            {name: values[finite] for name, values in integers.items()},
            {name: values[finite] for name, values in decimals.items()},
        )


class LinePatterns:
    """Several patterns, looked for in one pass: lines of two kinds often follow each other in turn."""

    def __init__(self, patterns: Sequence[LinePattern]) -> None:
        self._patterns = patterns
        # The last way takes any other line: so there is a match a line, and each begins where the one before ended.
        self._any = re.compile(b"(?:" + b"|".join([*(one.text for one in patterns), rb"[^\n]*"]) + b")\n")

    def read(self, buffer: bytes, begin: int, end: int) -> Iterator[tuple[int, Numbers]]:
        """The number of each pattern that lines fit, and theirs.

        Args:
            buffer: what holds the lines.
            begin: where the first one begins.
            end: where the last one has ended.
        """
        found = self._any.findall(buffer, begin, end)
        groups = [found] if self._any.groups == 1 else list(zip(*found, strict=True))
        first = 0
        for number, one in enumerate(self._patterns):
            mine = groups[first : first + len(one.order)]
            first += len(one.order)
            if any(mine[0]):
                yield number, one.read(mine)


def make_pattern(
    line: bytes, meaning: Meaning[S], runs: Sequence[Run], decimals: Mapping[str, int | float]
) -> LinePattern | None:
    """The pattern of a line that was studied; None where its numbers aren't made of its runs.

    Args:
        line: without its newline.
        meaning: of it.
        runs: its runs of digits, and what may change of them.
        decimals: metric → a place that doesn't matter here, or the value that the text spells.
    """
    metrics = tuple(name for name in decimals if isinstance(decimals[name], int))
    spans = [_span(line, place, runs, integer=True) for place in meaning.integers.values()]
    spans += [_span(line, meaning.decimals[name], runs, integer=False) for name in metrics]
    known = [span for span in spans if span is not None]
    opened = {first.start: number for number, (first, _) in enumerate(known)}
    if not known or len(opened) < len(spans):  # one isn't known, or two names have one number
        return None
    closed = {last.start for _, last in known}
    parts, done = [], 0
    for run in runs:
        spaces, sign = _before(line, run)
        opens, closes = b"(" if run.start in opened else b"", b")" if run.start in closed else b""
        parts += [re.escape(line[done : run.begin]), spaces, opens, sign, _digits(line, run), closes]
        done = run.after
    text = b"".join([*parts, re.escape(line[done:])])
    order = tuple(opened[start] for start in sorted(opened))
    return LinePattern(text, tuple(meaning.integers), metrics, order)


def _span(line: bytes, place: int, runs: Sequence[Run], *, integer: bool) -> tuple[Run, Run] | None:
    """The first and the last run of the number that begins at a place, with its sign or not; None where none does."""
    first = next((run for run in runs if place in (run.start, run.start - 1)), None)
    if first is None or integer:
        return None if first is None or first.widest > _MOST_DIGITS else (first, first)
    whole = _NUMBER.match(line, place)
    last = next((run for run in runs if whole is not None and run.after == whole.end()), None)
    return None if last is None else (first, last)


def _before(line: bytes, run: Run) -> tuple[bytes, bytes]:
    """What may stand before a run: spaces, and a sign, which is a part of the number."""
    kept = line[run.begin : run.start]
    opener = line[run.begin - 1 : run.begin] if run.begin else b""
    if run.digits is not Digits.FREE or opener not in _OPENING:
        return _split(kept)
    spaces, sign = _split(kept)
    if run.spaces:
        spaces = b" {0,%d}" % max(_MOST_SPACES, len(kept) - 1)
    return spaces, b"-?" if run.sign else sign


def _split(kept: bytes) -> tuple[bytes, bytes]:
    spaces = kept.rstrip(b"-")
    return re.escape(spaces), re.escape(kept[len(spaces) :])


def _digits(line: bytes, run: Run) -> bytes:
    """The digits that a run may have, and the exponent behind it."""
    width = run.end - run.start
    if run.digits is Digits.TEXT:
        return re.escape(line[run.start : run.after])
    if run.digits is Digits.STEADY:
        zero = run.zeros if width > 1 else run.zero
        first = rb"\d" if zero else rb"[1-9]"
        return first + rb"\d{%d}" % (width - 1) + re.escape(line[run.end : run.after])
    start = rb"(?!0\d)" if run.zero and not run.zeros else rb"(?!0(?!\d))" if run.zeros and not run.zero else b""
    first = rb"\d" if run.zero or run.zeros else rb"[1-9]"
    ways = [first + rb"\d{0,%d}" % (run.widest - 1)]
    ends = not run.integer and not re.match(rb"\w|\.\d", line[run.after :])
    if ends and run.widest > _LONGEST_EXPONENT:  # digits and an exponent are so many bytes at most as were tried
        ways.append(first + rb"\d{0,%d}" % (run.widest - _LONGEST_EXPONENT - 1) + _EXPONENT)
    return start + (b"(?:" + b"|".join(ways) + b")" if len(ways) > 1 else ways[0])
