"""Numbers read off a text, many at a time.

Eight bytes of text are one machine word, and the digits in it are found and summed up with a few arithmetic
instructions, here over all records of a piece at once (Lemire, *Number Parsing at a Gigabyte per Second*, 2021, §3). A
decimal of at most 15 digits is an integer below 2⁵³ over a power of ten that float64 holds exactly, so one division
gives the nearest float64 (Clinger, *How to Read Floating Point Numbers Accurately*, 1990, §4); longer ones, exponents,
NaN and infinities go through Python's own ``float``, one by one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from harness.values.trace import FloatArray, IntArray

__all__ = [
    "NUMBER",
    "NUMBER_END",
    "PADDING",
    "Mask",
    "WordArray",
    "as_words",
    "read_decimals",
    "read_fixed",
    "read_integers",
]

WordArray = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

NUMBER = rb"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|(?i:nan(?!\()|inf(?:inity)?))"
NUMBER_END = rb"(?!\.?[\w:/+#-]|\.\.)"
"""What follows is no part of a number, a date or a time of day; a sentence may end behind a number."""

PADDING = 32
"""Bytes that must follow a text, so that reading whole words at its last number stays inside the buffer."""

_TOKEN = re.compile(NUMBER + NUMBER_END)

_LOWEST_BITS = np.uint64(0x0101010101010101)
_HIGHEST_BITS = np.uint64(0x8080808080808080)
_ASCII_ZEROS = np.uint64(0x3030303030303030)
_PAST_NINE = np.uint64(0x7676767676767676)
_EIGHT, _BYTE = np.uint64(8), np.uint64(0xFF)
_WORD = 8  # bytes
_POWERS = np.array([10**power for power in range(17)], np.uint64)
_MOST_DIGITS = np.uint64(15)
_LARGEST_EXACT_POWER = 22
_EXACT_POWERS = np.array([float(10**power) for power in range(_LARGEST_EXACT_POWER + 1)])
"""Powers of ten that float64 holds exactly: one multiplication or division by them rounds once."""


def _separators(characters: bytes) -> Mask:
    table = np.zeros(256, np.bool_)
    table[np.frombuffer(characters, np.uint8)] = True
    return table


_AFTER_NUMBER = _separators(b" \t\n\r,;)]}|\"'")


def as_words(buffer: bytes) -> WordArray:
    """A view of a text as overlapping words: element i holds the bytes i … i + 7, byte i the lowest."""
    return np.ndarray((len(buffer) - 7,), dtype="<u8", buffer=buffer, strides=(1,))


def read_integers(words: WordArray, at: IntArray) -> tuple[IntArray, IntArray]:
    """The integers that begin at the given bytes, of up to eight digits.

    Args:
        words: of the text.
        at: (N,) byte positions.

    Returns:
        (N,) integers, and (N,) how many digits each has: 8 for eight or more, 0 for none.
    """
    text = words[at]
    digits = _count_digits(text)
    return _sum_up(text, digits).astype(np.int64), digits.astype(np.int64)


def read_fixed(words: Callable[[int], WordArray], at: int, before: int, after: int, power: int) -> FloatArray:
    """Numbers of one shape, each the float64 nearest to what is printed.

    Args:
        words: column → (N,) the eight bytes from there on.
        at: the column of the first digit.
        before: digits before the point.
        after: digits behind it, at most 15 together; 0 where there may be no point.
        power: of ten that the digits, without their point, are times of: −22 … 22.
    """
    if after and before + 1 + after <= _WORD:  # one word, with its point taken out
        text, low = words(at), np.uint64(8 * before)
        whole = text & ((np.uint64(1) << low) - np.uint64(1))
        mantissa = _sum_up(((text >> (low + _EIGHT)) << low) | whole, np.uint64(before + after))
    else:
        mantissa = _fixed_digits(words, at, before)
        if after:
            mantissa = mantissa * _POWERS[after] + _fixed_digits(words, at + before + 1, after)
    values: FloatArray = mantissa.astype(np.float64)
    if power < 0:
        values /= _EXACT_POWERS[-power]
    elif power > 0:
        values *= _EXACT_POWERS[power]
    return values


def _fixed_digits(words: Callable[[int], WordArray], at: int, digits: int) -> WordArray:
    """The integers of one number of digits that begin at a column."""
    value = _sum_up(words(at), np.uint64(min(digits, _WORD)))
    if digits > _WORD:
        value = value * _POWERS[digits - _WORD] + _fixed_digits(words, at + _WORD, digits - _WORD)
    return value


def read_decimals(buffer: bytes, words: WordArray, at: IntArray) -> tuple[FloatArray, Mask]:
    """The numbers that begin at the given bytes, each the float64 nearest to what is printed.

    Args:
        buffer: the text.
        words: of the same text.
        at: (N,) byte positions.

    Returns:
        (N,) numbers, and (N,) whether there is a number, with a separator behind it.
    """
    text = words[at]
    before = _count_digits(text)
    pointed = _byte_of(text, before) == ord(".")
    mantissa = _sum_up(text, before)
    end = at + before.astype(np.int64) + 1
    text = words[end]
    after = _count_digits(text)
    mantissa = mantissa * _POWERS[after] + _sum_up(text, after)
    closed = _AFTER_NUMBER[_byte_of(text, after)]
    if np.any(after == _EIGHT):
        text = words[end + 8]
        more = np.where(after == _EIGHT, _count_digits(text), np.uint64(0))
        mantissa = mantissa * _POWERS[more] + _sum_up(text, more)
        closed = np.where(after == _EIGHT, (more < _EIGHT) & _AFTER_NUMBER[_byte_of(text, more)], closed)
        after = after + more
    short = pointed & (before > 0) & (before + after <= _MOST_DIGITS)
    read = short & closed
    values = mantissa.astype(np.float64) / _POWERS[np.minimum(after, _MOST_DIGITS)].astype(np.float64)
    if not read.all():
        _read_sentences(words, end + after.astype(np.int64), read, short & ~closed)
        _read_exponents(words, end + after.astype(np.int64), mantissa, after, values, read, short & ~closed)
        _read_one_by_one(buffer, at, values, read)
    return values, read


def _read_sentences(words: WordArray, at: IntArray, read: Mask, asked: Mask) -> None:
    """Accept, in place, numbers behind which a sentence ends: with a period, and a space or the line's end.

    Args:
        words: of the text.
        at: (N,) where the period would be.
        read: (N,) whether a number was read.
        asked: (N,) which of them to look at.
    """
    rows = np.flatnonzero(asked)
    behind = words[at[rows]] & np.uint64(0xFFFF)
    read[rows] = (behind == ord(".") + 256 * ord("\n")) | (behind == ord(".") + 256 * ord(" "))


def _read_exponents(
    words: WordArray, at: IntArray, mantissa: WordArray, after: WordArray, values: FloatArray, read: Mask, asked: Mask
) -> None:
    """Fill in, in place, numbers with an exponent of a sign and two digits, as ``%E`` prints them.

    Args:
        words: of the text.
        at: (N,) where the exponent would begin.
        mantissa: (N,) the digits before it, as an integer below 10¹⁵.
        after: (N,) how many of them stand behind the point.
        values: (N,) gets the numbers.
        read: (N,) whether a number was read.
        asked: (N,) whose exponents to look for.
    """
    rows = np.flatnonzero(asked)
    text = words[at[rows]]
    sign = (text >> _EIGHT) & _BYTE
    digits = _count_digits(text >> np.uint64(16))
    known = (text & np.uint64(0xDF)) == ord("E")
    known &= (sign == ord("+")) | (sign == ord("-"))
    known &= (digits == np.uint64(2)) & _AFTER_NUMBER[(text >> np.uint64(32)) & _BYTE]
    exponent = _sum_up(text >> np.uint64(16), np.full(len(text), 2, np.uint64)).astype(np.int64)
    power = np.where(sign == ord("-"), -exponent, exponent) - after[rows].astype(np.int64)
    known &= np.abs(power) <= _LARGEST_EXACT_POWER
    scale = _EXACT_POWERS[np.minimum(np.abs(power), _LARGEST_EXACT_POWER)]
    whole = mantissa[rows].astype(np.float64)
    numbers = np.where(power < 0, whole / scale, whole * scale)
    values[rows[known]], read[rows[known]] = numbers[known], True


def _read_one_by_one(buffer: bytes, at: IntArray, values: FloatArray, read: Mask) -> None:
    """Fill in, in place, the numbers that the arithmetic above can't read exactly.

    Digits that spell more than float64 holds are left to the reading line by line, which says so.
    """
    for row in np.flatnonzero(~read).tolist():
        if token := _TOKEN.match(buffer, int(at[row])):
            value = float(token[0])
            if math.isfinite(value) or token[0][-1:] not in b"0123456789.":
                values[row], read[row] = value, True


def _count_digits(text: WordArray) -> WordArray:
    """How many of a word's bytes are digits before the first that is none: 0 … 8."""
    value = text ^ _ASCII_ZEROS
    none = ((value + _PAST_NINE) | value) & _HIGHEST_BITS
    below = ((none & (~none + np.uint64(1))) >> np.uint64(7)) - np.uint64(1)
    return ((below & _LOWEST_BITS) * _LOWEST_BITS) >> np.uint64(56)


def _sum_up(text: WordArray, digits: WordArray | np.uint64) -> WordArray:
    """The integer that a word's first digits spell."""
    value = (text & np.uint64(0x0F0F0F0F0F0F0F0F)) << ((_EIGHT - digits) * _EIGHT)
    value = (value * np.uint64(10) + (value >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    value = (value * np.uint64(100) + (value >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    return (value * np.uint64(10_000) + (value >> np.uint64(32))) & np.uint64(0xFFFFFFFF)


def _byte_of(text: WordArray, number: WordArray) -> WordArray:
    """A word's byte of the given number; of number 8, which it hasn't, a zero."""
    return (text >> (number * _EIGHT)) & _BYTE
