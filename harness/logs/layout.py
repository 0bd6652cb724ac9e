"""Where a log's lines hold their numbers: learned from one line, read off all that are built like it.

Training logs print millions of lines from one format string. Between two colons of such a line (or two other characters
of one kind or two, its anchors) only the width of numbers varies, so a number lies at a fixed distance behind an anchor
of fixed rank, and the text just before it is always the same. Lines that are built otherwise are told apart by these
and left to the slow reading.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.logs.numerals import PADDING, Mask, WordArray, as_words, read_decimals, read_integers
from harness.values.trace import FloatArray, IntArray

__all__ = ["Layout", "Reading", "gaps", "learn_layout", "read_by_layout"]

_WORD = 8  # bytes
_LONGEST_GUARD = 24  # bytes
_LEAD = 32  # newlines before a text, so that a guard at its first number stays inside the buffer
_ALL = np.uint64(2**64 - 1)
_BLOCK = 1 << 18  # bytes: what fits a processor's cache is looked through three times as fast
_NEWLINE = ord("\n")
_SPACES = np.uint64(0x2020202020202020)
_SPACE, _BYTE = np.uint64(0x20), np.uint64(0xFF)
_LOW_SEVEN = np.uint64(0x7F7F7F7F7F7F7F7F)
_HIGHEST_BITS = np.uint64(0x8080808080808080)


@dataclass(frozen=True)
class _Place:
    """Where a line holds one number: ``offset`` bytes behind its anchor number ``anchor``, −1 for the line's start.

    ``guards`` are words of the literal text before it, back to the number before that: how many bytes before the place,
    the word, and which of its bits count. ``digit`` bytes before the place that earlier number ends; 0 where the
    literal text is longer than what is looked at.
    """

    anchor: int
    offset: int
    guards: tuple[tuple[int, np.uint64, np.uint64], ...]
    digit: int


@dataclass(frozen=True)
class Layout:
    """How lines from one format string are built.

    Args:
        anchor: the character that numbers are found by, or several.
        anchors: how many of them such a line has.
        integers: the places of ``epoch``, ``iteration`` and ``rank``, as far as they are printed.
        decimals: metric → place.
        texts: places of literal text alone.
        groups: whether commas may stand inside numbers, between thousands.
    """

    anchor: bytes
    anchors: int
    integers: Mapping[str, _Place]
    decimals: Mapping[str, _Place]
    texts: tuple[_Place, ...] = ()
    groups: bool = False


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read off the lines that are built like the layout.

    Args:
        starts: (N,) first byte of each line.
        ends: (N,) the byte behind each line's newline.
        integers: ``epoch``, ``iteration`` and ``rank``, as far as they are printed → (N,).
        decimals: metric → (N,).
    """

    starts: IntArray
    ends: IntArray
    integers: Mapping[str, IntArray]
    decimals: Mapping[str, FloatArray]


def learn_layout(
    line: bytes,
    anchor: bytes,
    integers: Mapping[str, int],
    decimals: Mapping[str, int],
    texts: Sequence[int] = (),
    names: Sequence[int] = (),
    *,
    groups: bool = False,
    guard: int = _WORD,
) -> Layout | None:
    """The layout of a line; None where its numbers can't be found by their anchors.

    Args:
        line: the text, without its newline.
        anchor: the character to find numbers by, or several.
        integers: name → where in the line the integer begins.
        decimals: metric → where in the line the number begins.
        texts: where in the line literal text ends that tells such lines from others.
        names: where names end that tell such lines from others by their last bytes.
        groups: whether commas may stand inside numbers, between thousands.
        guard: bytes of the text before an integer that are looked at, 1 … 8.
    """
    longest = {**dict.fromkeys(integers, guard), **dict.fromkeys(decimals, 0)}
    places = {
        name: _place(line, start, anchor, longest[name]) for name, start in (*integers.items(), *decimals.items())
    }
    guards = [_place(line, end, anchor) for end in dict.fromkeys(texts) if end not in decimals.values()]
    guards += [_place(line, end, anchor, _WORD) for end in names]
    if not places or any(place is None for place in [*places.values(), *guards]):
        return None
    found = {name: place for name, place in places.items() if place is not None}
    return Layout(
        anchor,
        _count(line, anchor, len(line)),
        {name: found[name] for name in integers},
        {name: found[name] for name in decimals},
        tuple(place for place in guards if place is not None),
        groups,
    )


def read_by_layout(piece: bytes, layout: Layout) -> Reading:
    """The numbers of all lines of a piece that are built like the layout.

    Args:
        piece: whole lines, the last one ended by a newline.
        layout: of one of its lines.
    """
    places = [*layout.integers.values(), *layout.decimals.values(), *layout.texts]
    buffer = b"\n" * _LEAD + piece + bytes(PADDING + max(place.offset for place in places))
    words = as_words(buffer)
    text = np.frombuffer(buffer, np.uint8)
    lines = _Lines(text, layout.anchor, layout.anchors)
    fits = np.ones(len(lines.ends), np.bool_)
    found = {}
    for place in places:
        at, here, first = _locate(words, text, lines, place)
        fits &= here
        found[place] = at, first
    starts, ends = lines.starts - _LEAD, lines.ends - _LEAD
    if not fits.all():  # numbers are read of lines alone that are built like the layout: others take long
        starts, ends = starts[fits], ends[fits]
        found = {place: (at[fits], None if first is None else first[fits]) for place, (at, first) in found.items()}
    read = np.ones(len(starts), np.bool_)
    integers, decimals = {}, {}
    for name, place in layout.integers.items():
        integers[name], is_number = read_integers(words, *found[place], groups=layout.groups)
        read &= is_number
    for name, place in layout.decimals.items():
        decimals[name], is_number = read_decimals(buffer, words, *found[place], groups=layout.groups)
        read &= is_number
    if read.all():
        return Reading(starts, ends, integers, decimals)
    return Reading(
        starts[read],
        ends[read],
        {name: values[read] for name, values in integers.items()},
        {name: values[read] for name, values in decimals.items()},
    )


def gaps(readings: Sequence[Reading], length: int) -> list[tuple[int, int]]:
    """The stretches of a piece that were not read by layout."""
    if not readings:
        return [(0, length)]
    read = [np.sort(np.concatenate([getattr(reading, name) for reading in readings])) for name in ("starts", "ends")]
    starts, ends = np.concatenate([[0], read[1]]), np.concatenate([read[0], [length]])
    left = np.flatnonzero(ends > starts)
    return list(zip(starts[left].tolist(), ends[left].tolist(), strict=True))


class _Lines:
    """The lines of a buffer that have a given number of anchors: (N,) starts, ends, and where the anchors are."""

    def __init__(self, text: np.ndarray, anchor: bytes, count: int) -> None:
        marks = []
        for start in range(0, len(text), _BLOCK):
            block = text[start : start + _BLOCK]
            marked = block == _NEWLINE
            for character in anchor:
                marked |= block == character
            marks.append(np.flatnonzero(marked) + start)
        self._marks = np.concatenate(marks)
        newlines = np.flatnonzero(text[self._marks] == _NEWLINE)[_LEAD - 1 :]
        before, newlines = newlines[:-1], newlines[1:]
        chosen = np.flatnonzero(newlines - before - 1 == count)
        self._first = before[chosen] + 1
        self.ends = self._marks[newlines[chosen]] + 1
        self.starts = self._marks[before[chosen]] + 1

    def anchor(self, number: int) -> IntArray:
        """(N,) positions of each line's anchor of the given number; of −1, of the newline before the line."""
        positions: IntArray = self._marks[self._first + number] if number >= 0 else self.starts - 1
        return positions


def _locate(
    words: WordArray, text: np.ndarray, lines: _Lines, place: _Place
) -> tuple[IntArray, Mask, WordArray | None]:
    """(N,) where the number begins in each line, whether what is before it is what the layout says, and its first word.

    The word is None where spaces had to be skipped.

    A guard holds no newline but the one that ends the line before, so that where it fits, and the number is in the
    line, all of it is.
    """
    at = lines.anchor(place.anchor) + place.offset
    here = at < lines.ends
    at = np.minimum(at, lines.ends)
    for distance, word, mask in place.guards:
        before = words[at - distance]
        here &= (before if mask == _ALL else before & mask) == word
    if place.digit:
        digit = text[at - place.digit]
        here &= (digit >= ord("0")) & (digit <= ord("9"))
    spaces = words[at]
    if len(spaces) and spaces[0] == spaces[-1] and np.all(spaces == spaces[0]):  # such as the rank's place
        skip = _count_spaces(spaces[:1])
        return (at + skip, here, None) if skip[0] else (at, here, spaces)
    if not np.any((spaces & _BYTE) == _SPACE):
        return at, here, spaces
    skipped = _count_spaces(spaces)
    if np.any(skipped == _WORD):
        skipped = np.where(skipped == _WORD, _WORD + _count_spaces(words[at + _WORD]), skipped)
    return at + skipped, here, None


def _count_spaces(text: WordArray) -> IntArray:
    """How many of a word's bytes are spaces before the first that is none: 0 … 8."""
    other = text ^ _SPACES
    none = (((other & _LOW_SEVEN) + _LOW_SEVEN) | other) & _HIGHEST_BITS
    below = ((none & (~none + np.uint64(1))) >> np.uint64(7)) - np.uint64(1)
    ones = np.uint64(0x0101010101010101)
    return (((below & ones) * ones) >> np.uint64(56)).astype(np.int64)


def _count(line: bytes, anchor: bytes, end: int) -> int:
    return sum(line.count(character, 0, end) for character in anchor)


def _place(line: bytes, start: int, anchor: bytes, guard: int = 0) -> _Place | None:
    """Where a number lies that begins at ``start``, or literal text that ends there.

    Args:
        line: the text.
        start: where.
        anchor: by which characters to find it.
        guard: how many bytes of the text before it are looked at; 0 for all, back to the number before. Of an integer
            the last word is enough: what kind of line it is the other places say.
    """
    whole = not guard
    begin = len(line[:start].rstrip(b" "))
    behind = max(line.rfind(character, 0, begin) for character in anchor)
    before = b"\n" + line[:begin]
    literal = re.split(rb"\d", before[-_LONGEST_GUARD - 1 :])[-1]
    cut = whole and len(literal) <= _LONGEST_GUARD and len(literal) < len(before)
    literal = literal[-(guard or _LONGEST_GUARD) :]
    if not literal:
        return None
    guards = []
    for distance in range(_WORD, -(-len(literal) // _WORD) * _WORD + 1, _WORD):
        counted = min(_WORD, len(literal) - distance + _WORD)
        end = len(literal) - distance + _WORD
        mask = _ALL << np.uint64(8 * (_WORD - counted)) if counted < _WORD else _ALL
        word = np.frombuffer(literal[end - counted : end].rjust(_WORD, b"\0"), "<u8")[0]
        guards.append((distance, word, mask))
    number = _count(line, anchor, behind) if behind >= 0 else -1
    return _Place(number, begin - behind, tuple(guards), len(literal) + 1 if cut else 0)
