"""Forms: how the lines of one format string are built, learned from one of them, to read the others many at once.

Training logs print millions of lines from one format string, and only the digits of their numbers differ. A **form** is
such a line with, at each byte, what may stand there: this byte, or any digit. A line that fits says the same as the one
that the form was learned from, but for its values (``meaning`` finds out of which digits that holds), so its numbers are
taken from where they stand, and nothing else of it needs a look. There are two kinds:

- a **loose form** is of a line's *skeleton*, in which every number is one digit a run, however wide it was printed. It is
  learned by reading a line, and takes several passes over the text.
- an **exact form** is of a line as it is, made of a loose one for the widths that are met most often. All lines of its
  length are one matrix of bytes, compared with the form's lowest and highest byte, and a number is a few columns of it:
  the cheapest way there is.

What fits no form is left to the reading line by line, so that what is read doesn't depend on this module, only how fast.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic

import numpy as np

from harness.logs.meaning import Digits, Meaning, Run, S, study
from harness.logs.numerals import PADDING, Mask, as_words, read_decimals, read_fixed, read_integers
from harness.logs.skeletons import OPENERS, Bytes, skeleton_of
from harness.values.trace import FloatArray, IntArray

__all__ = ["Forms", "Reading"]

_DECIMAL = re.compile(rb"(\d+)(?:\.(\d*))?(?:[eE]([-+]?\d+))?")
_MOST_DIGITS, _LARGEST_POWER = 15, 22  # of what one multiplication or division gives exactly
_FAR = 280  # exponents, digits and all, that stay within float64's range
_CHUNK = 1 << 16  # bytes compared at a time: they, the form and the result stay in the processor's nearest caches
_BLOCK = 1 << 18  # bytes whose skeletons are made at a time: what is made of them fits the processor's caches
_FIRST = 1 << 16  # bytes that forms are learned on, before the rest of a log's first piece
_LONGEST_LEARNED = 1 << 14  # bytes of a line
_WORTH_LEARNING = 64  # lines of a piece; fewer are read as fast one by one
_FEWEST = 24  # lines of one length that are worth a form
_WORTH_LOOKING = 4  # lines left, that are worth the passes of the loose forms
_MOST_LOOSE, _MOST_EXACT = 48, 64
_MOST_TRIED = 6  # lines studied in a part of a log
_MOST_REFUSED = 1000  # skeletons remembered that can't be learned from
_MOST_MADE = 6  # exact forms made of a loose one in a part of a log
_SAMPLE = 200  # lines of a loose form, of which the commonest widths of numbers are taken
_COMMON = 0.02  # of these, that an exact form is made for
_WORTH_ASKING = 0.25  # of a part's lines, that exact forms must take to be asked on the next one
_LONGEST_REST = 16  # parts that exact forms aren't asked on
_PADDING = 9  # spaces, and a sign, between a free number and the space before it
_MOST_GONE = 255
_NEWLINE, _MINUS, _SPACE = ord("\n"), ord("-"), ord(" ")


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


class _Lines:
    """The lines of a piece.

    Args:
        piece: whole lines, the last one ended by a newline.
    """

    def __init__(self, piece: bytes) -> None:
        self.buffer = piece + bytes(PADDING)
        self.text = np.frombuffer(self.buffer, np.uint8)
        newlines = np.flatnonzero(self.text[: len(piece)] == _NEWLINE)
        self.starts = np.concatenate([[0], newlines[:-1] + 1])
        self.widths = newlines + 1 - self.starts  # newline included
        self.unread = np.ones(len(newlines), np.bool_)

    def line(self, row: int) -> bytes:
        """One line, without its newline."""
        start = int(self.starts[row])
        return self.buffer[start : start + int(self.widths[row]) - 1]

    def gaps(self) -> list[tuple[int, int]]:
        """The stretches of the piece that are not read."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.unread, [False]])))
        begins, ends = edges[::2], edges[1::2] - 1
        return list(zip(self.starts[begins].tolist(), (self.starts[ends] + self.widths[ends]).tolist(), strict=True))


class _Matrix:
    """Lines of one width, one a row; the bytes behind the last row are some other text's."""

    def __init__(self, text: Bytes, starts: IntArray, width: int) -> None:
        self.width, self.count = width, len(starts)
        if (starts[-1] - starts[0]) == (self.count - 1) * width:  # they follow each other
            self._flat = text[int(starts[0]) :]
        else:
            spare = np.full(-(-PADDING // width), starts[0])
            windows = np.lib.stride_tricks.as_strided(text, (len(text) - width + 1, width), (1, 1))
            self._flat = windows[np.concatenate([starts, spare])].reshape(-1)
        self.flat = self._flat[: self.count * width]

    def words(self, column: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        """(N,) the eight bytes of each row from a column on, the first of them the lowest."""
        return np.ndarray((self.count,), "<u8", self._flat, column, (self.width,))

    def cut(self, begin: int, end: int) -> Bytes:
        """(N, end − begin) columns."""
        return self.flat.reshape(self.count, self.width)[:, begin:end]


class _Fit:
    """What may stand at each byte of a line: from ``low`` on, ``span`` further at most."""

    def __init__(self, low: Bytes, span: Bytes) -> None:
        self.low, self.span, self.width = low, span, len(low)
        rows = max(1, _CHUNK // len(low))
        self._lows, self._spans = np.tile(low, rows), np.tile(span, rows)
        self._off, self._bad = np.empty_like(self._lows), np.empty(len(self._lows), np.bool_)

    def fits(self, flat: Bytes) -> Mask:
        """(N,) whether each row fits, of a matrix of N rows laid out row after row."""
        fits = np.ones(len(flat) // self.width, np.bool_)
        for start in range(0, len(flat), len(self._lows)):
            part = flat[start : start + len(self._lows)]
            off, bad = self._off[: len(part)], self._bad[: len(part)]
            np.subtract(part, self._lows[: len(part)], out=off)
            np.greater(off, self._spans[: len(part)], out=bad)
            if bad.any():
                fits[np.flatnonzero(bad) // self.width + start // self.width] = False
        return fits


@dataclass(frozen=True)
class _Field:
    """A number of an exact form: first digit's column, sign, digits before and behind the point, power of ten."""

    at: int
    negative: bool
    before: int
    after: int
    power: int

    def read(self, matrix: _Matrix) -> FloatArray:
        """(N,) its values."""
        values = read_fixed(matrix.words, self.at, self.before, self.after, self.power)
        return -values if self.negative else values


@dataclass(eq=False)
class _Exact(Generic[S]):
    """A form of lines as they are.

    Args:
        fit: what may stand at each byte, the newline included.
        integers: name → first column, and how many.
        decimals: metric → a field; or first and last column of one of many digits; or the value that the text spells.
        meaning: of the lines.
    """

    fit: _Fit
    integers: Mapping[str, tuple[int, int]]
    decimals: Mapping[str, _Field | tuple[int, int] | float]
    meaning: Meaning[S]

    def read(self, matrix: _Matrix, starts: IntArray) -> Reading[S]:
        """The numbers of lines that fit."""
        integers = {
            name: read_fixed(matrix.words, at, width, 0, 0).astype(np.int64)
            for name, (at, width) in self.integers.items()
        }
        decimals = {}
        for name, where in self.decimals.items():
            if isinstance(where, _Field):
                decimals[name] = where.read(matrix)
            elif isinstance(where, tuple):
                texts = np.ascontiguousarray(matrix.cut(*where)).view(f"S{where[1] - where[0]}")
                decimals[name] = texts.reshape(-1).astype(np.float64)  # by Python's own float, one by one
            else:
                decimals[name] = np.full(matrix.count, where)
        return Reading(starts, self.meaning, integers, decimals)


@dataclass(eq=False)
class _Loose(Generic[S]):
    """A form of skeletons.

    Args:
        fit: what may stand at each byte of the skeleton, the newline included.
        meaning: of the line that it was learned from.
        runs: that line's runs of digits.
        gone: how many bytes may have gone behind each of its bytes.
        same: column → from which byte on, and how much further, what went behind it may be.
        signs: column of a first digit → whether a minus has to have gone before it; of others it may have.
        spaced: column of a first digit → how many spaces have to have gone before it; of others any number may have.
        unpadded: columns of first digits which may not be a zero with digits behind it.
        integers: name → column.
        decimals: metric → column; or the value that the text spells.
    """

    fit: _Fit
    meaning: Meaning[S]
    runs: Sequence[Run]
    gone: _Fit
    same: Mapping[int, _Fit]
    signs: Mapping[int, bool]
    spaced: Mapping[int, int]
    unpadded: Sequence[int]
    integers: Mapping[str, int]
    decimals: Mapping[str, int | float]

    def exact(self, line: bytes) -> _Exact[S] | None:
        """The exact form of a line that fits; None where a number is written in a seldom way."""
        text = np.frombuffer(line + b"\n", np.uint8)
        _, at = skeleton_of(text)
        low, span = text.copy(), np.zeros(len(text), np.uint8)
        ends = {}
        for run in self.runs:
            start = end = int(at[run.column])
            while line[end : end + 1].isdigit():
                end += 1
            ends[run.column] = end
            if run.digits is not Digits.TEXT:
                low[start:end], span[start:end] = ord("0"), 9
                if not (run.zero if end == start + 1 else run.zeros):
                    low[start], span[start] = ord("1"), 8
        decimals: dict[str, _Field | tuple[int, int] | float] = {}
        for name, column in self.decimals.items():
            where = _field(line, int(at[column])) if isinstance(column, int) else column
            if where is None:
                return None
            decimals[name] = where
        integers = {name: (int(at[column]), ends[column] - int(at[column])) for name, column in self.integers.items()}
        if any(width > _MOST_DIGITS for _, width in integers.values()):
            return None
        return _Exact(_Fit(low, span), integers, decimals, self.meaning)


def _field(line: bytes, start: int) -> _Field | tuple[int, int] | None:
    """The number whose digits begin at a place of a line: as a field where arithmetic reads it exactly, else its columns.

    None near the end of float64's range, where other digits may leave it.
    """
    number = _DECIMAL.match(line, start)
    assert number is not None  # a digit stands there
    negative = start > 1 and line[start - 1] == _MINUS and line[start - 2] in OPENERS
    before, after, exponent = len(number[1]), len(number[2] or b""), int(number[3] or 0)
    if abs(exponent) > _FAR:
        return None
    signed = number[3] is None or not number[3][:1].isdigit()  # digits of a signed exponent are text of the form
    if signed and before + after <= _MOST_DIGITS and abs(exponent - after) <= _LARGEST_POWER:
        return _Field(start, negative, before, after, exponent - after)
    return start - negative, number.end()


def _learn(line: bytes, read: Callable[[bytes], Meaning[S] | None], *, groups: bool) -> _Loose[S] | None:
    """The loose form of a line; None where it can't be read in bulk."""
    studied = study(line, read, groups=groups)
    if studied is None:
        return None
    meaning, runs = studied
    text = np.frombuffer(line + b"\n", np.uint8)
    skeleton, at = skeleton_of(text)
    low, span = skeleton.copy(), np.zeros(len(skeleton), np.uint8)
    gone = (np.diff(at) - 1).tolist()
    bounds: dict[int, tuple[int, int]] = {}
    same: dict[int, _Fit] = {}
    signs: dict[int, bool] = {}
    spaced: dict[int, int] = {}
    unpadded = []
    for run in runs:
        column, before = run.column, run.column - 1
        width = run.end - run.start
        if run.digits is not Digits.TEXT:
            zero = run.zeros if run.digits is Digits.STEADY and width > 1 else run.zero
            low[column], span[column] = (ord("0"), 9) if zero else (ord("1"), 8)
        if run.digits is Digits.FREE:
            bounds[column] = 0, run.widest - 1
            if before >= 0 and skeleton[before] in OPENERS:
                spaces = max(_PADDING, gone[before]) if run.spaces else gone[before]
                bounds[before] = 0, max(spaces, int(run.sign))
                if not run.sign:
                    signs[column] = line[run.start - 1] == _MINUS and run.begin < run.start
                if not run.spaces and skeleton[before] == _SPACE:
                    spaced[column] = len(line[run.begin : run.start].rstrip(b"-"))
            if not run.zeros:
                unpadded.append(column)
            continue
        for place in (column, before):
            if place >= 0 and gone[place]:
                bounds[place] = gone[place], gone[place]
                bytes_ = text[at[place] + 1 : at[place + 1]]
                free = (place == column) & (run.digits is Digits.STEADY) & (np.arange(len(bytes_)) < width - 1)
                same[place] = _Fit(
                    np.where(free, ord("0"), bytes_).astype(np.uint8), np.where(free, 9, 0).astype(np.uint8)
                )
    numbers = {run.start: run.column for run in runs}
    numbers |= {run.start - 1: run.column for run in runs if run.begin < run.start and line[run.start - 1] == _MINUS}
    decimals: dict[str, int | float] = {}
    for name, place in meaning.decimals.items():
        if place in numbers:
            decimals[name] = numbers[place]
        elif re.match(rb"[-+]?[a-zA-Z]", line[place:]):  # nan or inf: text, as all lines that fit have it
            decimals[name] = float(meaning.values[name])
        else:
            return None
    if not all(place in numbers for place in meaning.integers.values()):
        return None
    fewest, spare = np.zeros(len(skeleton), np.uint8), np.zeros(len(skeleton), np.uint8)
    for column, (few, most) in bounds.items():
        if most >= _MOST_GONE:
            return None
        fewest[column], spare[column] = few, most - few
    return _Loose(
        _Fit(low, span),
        meaning,
        runs,
        _Fit(fewest, spare),
        same,
        signs,
        spaced,
        unpadded,
        {name: numbers[place] for name, place in meaning.integers.items()},
        decimals,
    )


class _Skeletons:
    """The skeletons of some lines of a piece."""

    def __init__(self, lines: _Lines, rows: IntArray) -> None:
        self.rows = rows
        starts, widths = lines.starts[rows], lines.widths[rows]
        if rows[-1] - rows[0] + 1 == len(rows):
            self.buffer, first = lines.buffer, int(starts[0])
            text = lines.text[first : int(starts[-1] + widths[-1])]
        else:
            cuts = np.flatnonzero(np.diff(rows) > 1)
            begins, ends = starts[np.concatenate([[0], cuts + 1])], (starts + widths)[np.concatenate([cuts, [-1]])]
            parts = [lines.buffer[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
            self.buffer, first = b"".join(parts) + bytes(PADDING), 0
            text = np.frombuffer(self.buffer, np.uint8)[: int(widths.sum())]
        self.text, self.places = skeleton_of(text)
        steps = np.diff(self.places) - np.int32(1)
        self.gone = np.zeros(len(self.text) + PADDING, np.uint8)
        self.gone[: len(steps)] = steps if steps.max(initial=0) <= _MOST_GONE else np.minimum(steps, _MOST_GONE)
        self.first = first
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

    def read(self, form: _Loose[S]) -> tuple[IntArray, Reading[S]] | None:
        """Of the lines that aren't read yet those that fit: their numbers, and what they say."""
        mine = np.flatnonzero(self.unread & (self.widths == form.fit.width))
        if not mine.size:
            return None
        mine = mine[form.fit.fits(_Matrix(self.text, self.starts[mine], form.fit.width).flat)]
        if not mine.size:
            return None
        mine = mine[form.gone.fits(_Matrix(self.gone, self.starts[mine], form.fit.width).flat)]
        if not mine.size:
            return None
        at = self.starts[mine]
        text = np.frombuffer(self.buffer, np.uint8)
        fits = np.ones(len(mine), np.bool_)
        for column, sign in form.signs.items():
            fits &= self._has_minus(text, at + column) == sign
        for column, spaces in form.spaced.items():
            fits &= self.gone[at + column - 1] - self._has_minus(text, at + column) == spaces
        for column in form.unpadded:
            fits &= (self.text[at + column] != ord("0")) | (self.gone[at + column] == 0)
        mine, at = mine[fits], at[fits]
        for column, fit in form.same.items():
            if mine.size:
                begin = self._place(at + column) + 1
                fits = fit.fits(_Matrix(text, begin, fit.width).flat)
                mine, at = mine[fits], at[fits]
        if not mine.size:
            return None
        words = as_words(self.buffer)
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
        if not read.all():
            mine = mine[read]
            integers = {name: values[read] for name, values in integers.items()}
            decimals = {name: values[read] for name, values in decimals.items()}
            if not mine.size:
                return None
        self.unread[mine] = False
        return mine, Reading(mine, form.meaning, integers, decimals)


@dataclass
class Forms(Generic[S]):
    """The forms of a log, learned while it is read.

    Args:
        read: what a line says; None for a line that isn't to be read in bulk.
        marker: something in each line that may be learned from.
        groups: whether commas may stand inside numbers, between thousands.
    """

    meaning: Callable[[bytes], Meaning[S] | None]
    marker: re.Pattern[bytes]
    groups: bool
    _loose: list[_Loose[S]] = field(default_factory=list)
    _exact: dict[int, list[_Exact[S]]] = field(default_factory=dict)
    _refused: set[bytes] = field(default_factory=set)
    _made: int = 0
    _asleep: int = 0
    _rest: int = 1

    def read(self, piece: bytes) -> tuple[list[Reading[S]], list[tuple[int, int]]]:
        """What the lines of a piece say that fit a form, and the stretches of the others.

        Args:
            piece: whole lines, the last one ended by a newline.
        """
        lines = _Lines(piece)
        if not self._loose and len(lines.starts) < _WORTH_LEARNING:
            return [], [(0, len(piece))]
        readings: list[Reading[S]] = []
        first = 0 if self._loose else int(np.searchsorted(lines.starts, _FIRST))
        for begin, end in ((0, first), (first, len(lines.starts))):
            if begin < end:
                readings += self._read_rows(lines, np.arange(begin, end))
        return readings, lines.gaps()

    def _read_rows(self, lines: _Lines, rows: IntArray) -> Iterator[Reading[S]]:
        left = rows
        if self._asleep:
            self._asleep -= 1
        elif self._exact:
            yield from self._by_exact(lines, rows)
            left = rows[lines.unread[rows]]
            if len(left) > (1 - _WORTH_ASKING) * len(rows) and len(rows) > _WORTH_LEARNING:
                self._exact.clear()
                self._asleep, self._rest = self._rest, min(2 * self._rest, _LONGEST_REST)
            else:
                self._rest = 1
        if len(left) < _WORTH_LOOKING or not (self._loose or len(left) >= _FEWEST):
            return
        ends = np.cumsum(lines.widths[left])
        cuts = np.searchsorted(ends, np.arange(_BLOCK, int(ends[-1]), _BLOCK))
        made = self._made
        for block in np.split(left, cuts):
            part = block
            if self._made > made:  # the blocks before have taught something
                yield from self._by_exact(lines, part)
                part = part[lines.unread[part]]
            if len(part) >= _WORTH_LOOKING or len(part) == len(block) > 0:
                yield from self._by_skeleton(lines, part)

    def _by_exact(self, lines: _Lines, rows: IntArray) -> Iterator[Reading[S]]:
        widths = lines.widths[rows]
        for width, forms in self._exact.items():
            mine = rows[widths == width]
            for form in forms:
                if not mine.size:
                    break
                matrix = _Matrix(lines.text, lines.starts[mine], width)
                fits = form.fit.fits(matrix.flat)
                read = mine
                if not fits.all():
                    read = mine[fits]
                    if not read.size:
                        continue
                    matrix = _Matrix(lines.text, lines.starts[read], width)
                lines.unread[read] = False
                yield form.read(matrix, lines.starts[read])
                mine = mine[~fits]

    def _by_skeleton(self, lines: _Lines, rows: IntArray) -> Iterator[Reading[S]]:
        skeletons = _Skeletons(lines, rows)
        for form in self._loose:
            yield from self._take(form, skeletons, lines)
        for _ in range(_MOST_TRIED):
            candidate = self._candidate(skeletons)
            if candidate is None or len(self._loose) >= _MOST_LOOSE:
                return
            line = lines.line(int(rows[candidate]))
            learned = None
            if len(line) < _LONGEST_LEARNED and self.marker.search(line):
                learned = _learn(line, self.meaning, groups=self.groups)
            if learned is not None:
                self._loose.append(learned)
                yield from self._take(learned, skeletons, lines)
            if skeletons.unread[candidate] and len(self._refused) < _MOST_REFUSED:
                self._refused.add(skeletons.skeleton(candidate))

    def _candidate(self, skeletons: _Skeletons) -> int | None:
        """A line to learn from: the first of the most frequent width that wasn't tried."""
        left = np.flatnonzero(skeletons.unread)
        if len(left) < _FEWEST:
            return None
        widths, first, counts = np.unique(skeletons.widths[left], return_index=True, return_counts=True)
        for number in np.argsort(-counts, kind="stable").tolist():
            if counts[number] < _FEWEST or widths[number] > _LONGEST_LEARNED:
                return None
            if skeletons.skeleton(int(left[first[number]])) not in self._refused:
                return int(left[first[number]])
        return None

    def _take(self, form: _Loose[S], skeletons: _Skeletons, lines: _Lines) -> Iterator[Reading[S]]:
        """The lines that fit a loose form; exact ones are made for the commonest widths of their numbers."""
        found = skeletons.read(form)
        if found is None:
            return
        mine, reading = found
        rows = skeletons.rows[mine]
        lines.unread[rows] = False
        yield Reading(lines.starts[rows], form.meaning, reading.integers, reading.decimals)
        if self._asleep or len(mine) < _FEWEST:
            return
        sample = np.unique(np.linspace(0, len(mine) - 1, _SAMPLE).astype(np.int64))
        kinds = Counter(skeletons.widths_of(int(mine[number])) for number in sample)
        for kind, count in kinds.most_common(_MOST_MADE):
            if count >= _COMMON * len(sample):
                first = next(number for number in sample if skeletons.widths_of(int(mine[number])) == kind)
                self._keep(form.exact(lines.line(int(rows[first]))))

    def _keep(self, form: _Exact[S] | None) -> None:
        """Remember an exact form; the oldest of too many is forgotten."""
        if form is None:
            return
        if sum(map(len, self._exact.values())) >= _MOST_EXACT:
            del self._exact[next(iter(self._exact))]
        self._made += 1
        self._exact.setdefault(form.fit.width, []).append(form)
