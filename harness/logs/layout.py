"""Where a log's lines hold their numbers: learned from one line, read off all that are built like it.

Training logs print millions of lines from one format string. Between two colons of such a line only the width of
numbers varies, so a number lies at a fixed distance behind a colon of fixed rank, and the text just before it is always
the same. Lines that are built otherwise are told apart by these and left to the slow reading.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.logs.numerals import PADDING, Mask, WordArray, as_words, read_decimals, read_integers
from harness.values.trace import FloatArray, IntArray

__all__ = ["Layout", "Reading", "learn_layout", "read_by_layout"]

_GUARD = 8  # bytes: one word
_SHORTEST_GUARD = 2  # bytes
_ALL = np.uint64(2**64 - 1)
_BLOCK = 1 << 18  # bytes: what fits a processor's cache is looked through three times as fast
_COLON, _NEWLINE = ord(":"), ord("\n")
_SPACES = np.uint64(0x2020202020202020)
_LOW_SEVEN = np.uint64(0x7F7F7F7F7F7F7F7F)
_HIGHEST_BITS = np.uint64(0x8080808080808080)


@dataclass(frozen=True)
class _Place:
    """Where a line holds one number: ``offset`` bytes behind its colon number ``colon``, and ``guard`` before it.

    Of the eight bytes before the number those count that ``mask`` has set: what follows any earlier number in them.
    """

    colon: int
    offset: int
    guard: np.uint64
    mask: np.uint64


@dataclass(frozen=True)
class Layout:
    """How lines from one format string are built.

    Args:
        colons: how many colons such a line has.
        integers: the places of ``epoch``, ``iteration`` and ``rank``, as far as they are printed.
        decimals: metric → place.
    """

    colons: int
    integers: Mapping[str, _Place]
    decimals: Mapping[str, _Place]


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


def learn_layout(line: bytes, integers: Mapping[str, int], decimals: Mapping[str, int]) -> Layout | None:
    """The layout of a line; None where its numbers can't be found by their colons.

    Args:
        line: the text, without its newline.
        integers: name → where in the line the integer begins.
        decimals: metric → where in the line the number begins.
    """
    places = {name: _place(line, start) for name, start in {**integers, **decimals}.items()}
    if not decimals or any(place is None for place in places.values()):
        return None
    found = {name: place for name, place in places.items() if place is not None}
    return Layout(line.count(b":"), {name: found[name] for name in integers}, {name: found[name] for name in decimals})


def read_by_layout(piece: bytes, layout: Layout) -> Reading:
    """The numbers of all lines of a piece that are built like the layout.

    Args:
        piece: whole lines, the last one ended by a newline.
        layout: of one of its lines.
    """
    places = [*layout.integers.values(), *layout.decimals.values()]
    buffer = piece + bytes(PADDING + max(place.offset for place in places))
    words = as_words(buffer)
    lines = _Lines(buffer, layout.colons)
    fits = np.ones(len(lines.ends), np.bool_)
    integers, decimals = {}, {}
    for name, place in layout.integers.items():
        at, here = _locate(words, lines, place)
        integers[name], read = read_integers(words, at)
        fits &= here & read
    for name, place in layout.decimals.items():
        at, here = _locate(words, lines, place)
        decimals[name], read = read_decimals(buffer, words, at)
        fits &= here & read
    if fits.all():
        return Reading(lines.starts, lines.ends, integers, decimals)
    return Reading(
        lines.starts[fits],
        lines.ends[fits],
        {name: values[fits] for name, values in integers.items()},
        {name: values[fits] for name, values in decimals.items()},
    )


class _Lines:
    """The lines of a buffer that have a given number of colons: (N,) starts, ends, and where each one's colons are."""

    def __init__(self, buffer: bytes, colons: int) -> None:
        text = np.frombuffer(buffer, np.uint8)
        self._marks = np.concatenate(
            [
                start + np.flatnonzero((block == _COLON) | (block == _NEWLINE))
                for start in range(0, len(text), _BLOCK)
                for block in [text[start : start + _BLOCK]]
            ]
        )
        newlines = np.flatnonzero(text[self._marks] == _NEWLINE)
        before = np.concatenate([[-1], newlines[:-1]])
        chosen = np.flatnonzero(newlines - before - 1 == colons)
        self._first = before[chosen] + 1
        self.ends = self._marks[newlines[chosen]] + 1
        self.starts = np.where(self._first > 0, self._marks[self._first - 1] + 1, 0)

    def colon(self, number: int) -> IntArray:
        """(N,) positions of each line's colon of the given number."""
        positions: IntArray = self._marks[self._first + number]
        return positions


def _locate(words: WordArray, lines: _Lines, place: _Place) -> tuple[IntArray, Mask]:
    """(N,) where the number begins in each line, and whether what is before it is what the layout says.

    A guard holds no newline, so that where it fits, and the number is in the line, all of it is.
    """
    at = lines.colon(place.colon) + place.offset
    before = words[at - _GUARD]
    before = before if place.mask == _ALL else before & place.mask
    here = (before == place.guard) & (at < lines.ends)
    text = words[at]
    if len(text) and text[0] == text[-1] and np.all(text == text[0]):  # such as the rank's place
        return at + _count_spaces(text[:1]), here
    return at + _count_spaces(text), here


def _count_spaces(text: WordArray) -> IntArray:
    """How many of a word's bytes are spaces before the first that is none: 0 … 8."""
    other = text ^ _SPACES
    none = (((other & _LOW_SEVEN) + _LOW_SEVEN) | other) & _HIGHEST_BITS
    below = ((none & (~none + np.uint64(1))) >> np.uint64(7)) - np.uint64(1)
    ones = np.uint64(0x0101010101010101)
    return (((below & ones) * ones) >> np.uint64(56)).astype(np.int64)


def _place(line: bytes, start: int) -> _Place | None:
    begin = len(line[:start].rstrip(b" "))
    colon = line.rfind(b":", 0, begin)
    if begin < _GUARD or colon < 0:
        return None
    literal = len(re.split(rb"\d", line[begin - _GUARD : begin])[-1])
    if literal < _SHORTEST_GUARD:
        return None
    mask = _ALL << np.uint64(8 * (_GUARD - literal))
    guard = np.frombuffer(line[begin - _GUARD : begin], "<u8")[0] & mask
    return _Place(line.count(b":", 0, colon), begin - colon, guard, mask)
