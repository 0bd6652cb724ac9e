"""Forms of lines as they are: each number is a few columns of a matrix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

import numpy as np

from harness.logs.loose_forms import LooseForm
from harness.logs.matrices import Fit, Matrix
from harness.logs.meaning import Digits, Meaning, Reading, S
from harness.logs.numerals import read_fixed
from harness.logs.skeletons import OPENERS, skeleton_of
from harness.values.trace import FloatArray, IntArray

__all__ = ["ExactForm", "make_exact"]

_DECIMAL = re.compile(rb"(\d+)(?:\.(\d*))?(?:[eE]([-+]?\d+))?")
_MOST_DIGITS, _LARGEST_POWER = 15, 22  # of what one multiplication or division gives exactly
_FAR = 280  # exponents, digits and all, that stay within float64's range
_MINUS = ord("-")


@dataclass(frozen=True)
class Field:
    """A number of an exact form: first digit's column, sign, digits before and behind the point, power of ten."""

    at: int
    negative: bool
    before: int
    after: int
    power: int

    def read(self, matrix: Matrix) -> FloatArray:
        """(N,) its values."""
        values = read_fixed(matrix.words, self.at, self.before, self.after, self.power)
        return -values if self.negative else values


@dataclass(eq=False)
class ExactForm(Generic[S]):
    """A form of lines as they are.

    Args:
        fit: what may stand at each byte, the newline included.
        integers: name → first column, and how many.
        decimals: metric → a field; or first and last column of one of many digits; or the value that the text spells.
        meaning: of the lines.
    """

    fit: Fit
    integers: Mapping[str, tuple[int, int]]
    decimals: Mapping[str, Field | tuple[int, int] | float]
    meaning: Meaning[S]

    def read(self, matrix: Matrix, starts: IntArray) -> Reading[S]:
        """The numbers of lines that fit."""
        integers = {
            name: read_fixed(matrix.words, at, width, 0, 0).astype(np.int64)
            for name, (at, width) in self.integers.items()
        }
        decimals = {}
        for name, where in self.decimals.items():
            if isinstance(where, Field):
                decimals[name] = where.read(matrix)
            elif isinstance(where, tuple):
                texts = np.ascontiguousarray(matrix.cut(*where)).view(f"S{where[1] - where[0]}")
                decimals[name] = texts.reshape(-1).astype(np.float64)  # by Python's own float, one by one
            else:
                decimals[name] = np.full(matrix.count, where)
        return Reading(starts, self.meaning, integers, decimals)


def _field(line: bytes, start: int) -> Field | tuple[int, int] | None:
    """The number whose digits begin at a place of a line: a field, or else its columns.

    It is a field where arithmetic reads it exactly. None near the end of float64's range, which other digits may leave.
    """
    number = _DECIMAL.match(line, start)
    if number is None:
        return None
    negative = start > 1 and line[start - 1] == _MINUS and line[start - 2] in OPENERS
    before, after, exponent = len(number[1]), len(number[2] or b""), int(number[3] or 0)
    if abs(exponent) > _FAR:
        return None
    signed = number[3] is None or not number[3][:1].isdigit()  # digits of a signed exponent are text of the form
    if signed and before + after <= _MOST_DIGITS and abs(exponent - after) <= _LARGEST_POWER:
        return Field(start, negative, before, after, exponent - after)
    return start - negative, number.end()


def make_exact(loose: LooseForm[S], line: bytes) -> ExactForm[S] | None:
    """The exact form of a line that fits a loose one; None where a number is written in a seldom way."""
    text = np.frombuffer(line + b"\n", np.uint8)
    _, at = skeleton_of(text)
    low, span = text.copy(), np.zeros(len(text), np.uint8)
    ends = {}
    for run in loose.runs:
        start = end = int(at[run.column])
        while line[end : end + 1].isdigit():
            end += 1
        ends[run.column] = end
        if run.digits is not Digits.TEXT:
            low[start:end], span[start:end] = ord("0"), 9
            if not (run.zero if end == start + 1 else run.zeros):
                low[start], span[start] = ord("1"), 8
    decimals: dict[str, Field | tuple[int, int] | float] = {}
    for name, column in loose.decimals.items():
        where = _field(line, int(at[column])) if isinstance(column, int) else column
        if where is None:
            return None
        decimals[name] = where
    integers = {name: (int(at[column]), ends[column] - int(at[column])) for name, column in loose.integers.items()}
    if any(width > _MOST_DIGITS for _, width in integers.values()):
        return None
    return ExactForm(Fit(low, span), integers, decimals, loose.meaning)
