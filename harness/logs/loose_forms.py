"""Forms of skeletons: of lines whose numbers vary in width."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from harness.logs.line_patterns import LinePattern, make_pattern
from harness.logs.matrices import Fit, Lines, Matrix
from harness.logs.meaning import Digits, Meaning, Reading, Run, S
from harness.logs.numerals import PADDING, Mask, as_words, read_decimals, read_integers
from harness.logs.skeletons import OPENERS, Bytes, skeleton_of
from harness.logs.studying import study
from harness.values.trace import IntArray

__all__ = ["LooseForm", "Skeletons", "learn"]

_PADDING = 9  # spaces, and a sign, between a free number and the space before it
_MOST_GONE = 255  # bytes that went behind one that stayed; so many or more fit no form
_NEWLINE, _MINUS, _SPACE, _ZERO = (ord(character) for character in "\n- 0")


@dataclass(eq=False)
class LooseForm(Generic[S]):
    """A form of skeletons.

    Args:
        fit: what may stand at each byte of the skeleton, the newline included.
        meaning: of the line that it was learned from.
        runs: that line's runs of digits.
        gone: how many bytes may have gone behind each of its bytes.
        same: column → from which byte on, and how much further, what went behind it may be.
        signs: column of a first digit → whether a minus has to have gone before it; of others it may have.
        spaces: column of a first digit → how many spaces have to have gone before it; of others any number may have.
        unpadded: columns of first digits which may not be a zero with digits behind it.
        integers: name → column.
        decimals: metric → column; or the value that the text spells.
        pattern: of the lines that fit, where there is one.
        taken: how many lines were read by it.
    """

    fit: Fit
    meaning: Meaning[S]
    runs: Sequence[Run]
    gone: Fit
    same: Mapping[int, Fit]
    signs: Mapping[int, bool]
    spaces: Mapping[int, int]
    unpadded: Sequence[int]
    integers: Mapping[str, int]
    decimals: Mapping[str, int | float]
    pattern: LinePattern | None
    taken: int = 0

    @property
    def spelled(self) -> dict[str, float]:
        """Metrics whose value the text spells."""
        return {name: where for name, where in self.decimals.items() if isinstance(where, float)}


def learn(line: bytes, read: Callable[[bytes], Meaning[S] | None], *, groups: bool) -> LooseForm[S] | None:
    """The loose form of a line; None where it can't be read in bulk.

    Args:
        line: without its newline.
        read: what a line says; None for a line that isn't to be read in bulk.
        groups: whether commas may stand inside numbers, between thousands.
    """
    studied = study(line, read, groups=groups)
    if studied is None:
        return None
    meaning, runs = studied
    numbers = {run.start: run.column for run in runs}
    numbers |= {run.start - 1: run.column for run in runs if _is_negative(line, run)}
    decimals: dict[str, int | float] = {}
    for name, place in meaning.decimals.items():
        if place not in numbers and not re.match(rb"[-+]?[a-zA-Z]", line[place:]):
            return None
        decimals[name] = numbers.get(place, float(meaning.values[name]))  # nan and inf are text, which all lines have
    draft = _Draft(line)
    for run in runs:
        if run.digits is Digits.FREE:
            draft.free(run)
        else:
            draft.keep(run)
    if draft.most.max() >= _MOST_GONE or not all(place in numbers for place in meaning.integers.values()):
        return None
    return LooseForm(
        Fit(draft.low, draft.span),
        meaning,
        runs,
        Fit(draft.fewest, draft.most - draft.fewest),
        draft.same,
        draft.signs,
        draft.spaces,
        draft.unpadded,
        {name: numbers[place] for name, place in meaning.integers.items()},
        decimals,
        make_pattern(line, meaning, runs, decimals),
    )


def _is_negative(line: bytes, run: Run) -> bool:
    return run.begin < run.start and line[run.start - 1] == _MINUS


class _Draft:
    """A loose form while it is put together, from one run of digits after the other."""

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._text = np.frombuffer(line + b"\n", np.uint8)
        self._skeleton, self._at = skeleton_of(self._text)
        self._gone = (np.diff(self._at) - 1).tolist()
        self.low, self.span = self._skeleton.copy(), np.zeros(len(self._skeleton), np.uint8)
        self.fewest, self.most = np.zeros((2, len(self._skeleton)), np.uint8)
        self.same: dict[int, Fit] = {}
        self.signs: dict[int, bool] = {}
        self.spaces: dict[int, int] = {}
        self.unpadded: list[int] = []

    def free(self, run: Run) -> None:
        """Let a run be of any digits and width, with what may stand before it."""
        column, before = run.column, run.column - 1
        self._let(column, zero=run.zero)
        self.most[column] = min(run.widest - 1, _MOST_GONE)
        if not run.zeros:
            self.unpadded.append(column)
        if before < 0 or self._skeleton[before] not in OPENERS:
            return
        spaces = max(_PADDING, self._gone[before]) if run.spaces else self._gone[before]
        self.most[before] = min(max(spaces, int(run.sign)), _MOST_GONE)
        if not run.sign:
            self.signs[column] = _is_negative(self._line, run)
        if not run.spaces and self._skeleton[before] == _SPACE:
            self.spaces[column] = len(self._line[run.begin : run.start].rstrip(b"-"))

    def keep(self, run: Run) -> None:
        """Let a run be of this width and of any digits, or of these alone, with what stands before it."""
        steady, more = run.digits is Digits.STEADY, run.end - run.start - 1
        if steady:
            self._let(run.column, zero=run.zeros if more else run.zero)
        for column in (run.column, run.column - 1):
            if column < 0 or not self._gone[column]:
                continue
            self.fewest[column] = self.most[column] = min(self._gone[column], _MOST_GONE)
            low = self._text[self._at[column] + 1 : self._at[column + 1]].copy()
            span = np.zeros(len(low), np.uint8)
            if steady and column == run.column:
                low[:more], span[:more] = _ZERO, 9
            self.same[column] = Fit(low, span)

    def _let(self, column: int, *, zero: bool) -> None:
        """Let a byte be any digit, a zero or not."""
        self.low[column], self.span[column] = (_ZERO, 9) if zero else (_ZERO + 1, 8)


class Skeletons:
    """The skeletons of some lines of a piece."""

    def __init__(self, lines: Lines, rows: IntArray) -> None:
        self.rows = rows
        self.buffer, self.first, length = lines.buffer_of(rows)
        text = np.frombuffer(self.buffer, np.uint8)[self.first : self.first + length]
        self.text, self.places = skeleton_of(text)
        steps = np.diff(self.places) - np.int32(1)
        self.gone = np.zeros(len(self.text) + PADDING, np.uint8)
        self.gone[: len(steps)] = steps if steps.max(initial=0) <= _MOST_GONE else np.minimum(steps, _MOST_GONE)
        newlines = np.flatnonzero(self.text == _NEWLINE)
        self.starts = np.concatenate([[0], newlines[:-1] + 1])
        self.widths = newlines + 1 - self.starts
        self.unread = np.ones(len(rows), np.bool_)

    def skeleton(self, number: int) -> bytes:
        """One line's."""
        return self.text[self.starts[number] : self.starts[number] + self.widths[number]].tobytes()

    def widths_of(self, number: int) -> bytes:
        """How much of one line went behind each byte of its skeleton."""
        return self.gone[self.starts[number] : self.starts[number] + self.widths[number]].tobytes()

    def _has_minus(self, text: Bytes, digits: IntArray) -> Mask:
        """(N,) whether a minus went before some first digits, which are given by their places in the skeletons."""
        has: Mask = (text[self._place(digits) - 1] == _MINUS) & (self.gone[digits - 1] > 0)
        return has

    def _place(self, at: IntArray) -> IntArray:
        """(N,) where bytes of the skeletons lie in the buffer."""
        return self.places[at].astype(np.int64) + self.first

    def read(self, form: LooseForm[S]) -> tuple[IntArray, Reading[S]] | None:
        """Of the lines that aren't read yet those that fit: their numbers, and what they say; None where none does."""
        mine = self._fitting(form)
        at, text, words = self.starts[mine], np.frombuffer(self.buffer, np.uint8), as_words(self.buffer)
        read = np.ones(len(mine), np.bool_)
        integers, decimals = {}, {}
        for name, column in form.integers.items():
            integers[name], digits = read_integers(words, self._place(at + column))
            read &= digits == self.gone[at + column].astype(np.int64) + 1
        for name, where in form.decimals.items():
            if not isinstance(where, int):
                decimals[name] = np.full(len(mine), where)
                continue
            values, is_number = read_decimals(self.buffer, words, self._place(at + where))
            decimals[name] = np.where(self._has_minus(text, at + where), -values, values)
            read &= is_number
        mine = mine[read]
        if not mine.size:
            return None
        self.unread[mine] = False
        return mine, Reading(
            mine,
            form.meaning,
            {name: values[read] for name, values in integers.items()},
            {name: values[read] for name, values in decimals.items()},
        )

    def _fitting(self, form: LooseForm[S]) -> IntArray:
        """The numbers of the lines that fit."""
        mine = np.flatnonzero(self.unread & (self.widths == form.fit.width))
        for fit, text in ((form.fit, self.text), (form.gone, self.gone)):
            if mine.size:
                mine = mine[fit.fits(Matrix(text, self.starts[mine], fit.width).flat)]
        text, at = np.frombuffer(self.buffer, np.uint8), self.starts[mine]
        fits = np.ones(len(mine), np.bool_)
        for column, sign in form.signs.items():
            fits &= self._has_minus(text, at + column) == sign
        for column, spaces in form.spaces.items():
            fits &= self.gone[at + column - 1] - self._has_minus(text, at + column) == spaces
        for column in form.unpadded:
            fits &= (self.text[at + column] != _ZERO) | (self.gone[at + column] == 0)
        mine = mine[fits]
        for column, fit in form.same.items():
            if mine.size:
                begins = self._place(self.starts[mine] + column) + 1
                mine = mine[fit.fits(Matrix(text, begins, fit.width).flat)]
        return mine
