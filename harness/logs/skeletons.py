"""Skeletons: a text without what numbers of one format vary in, for all lines of a text at once.

Of each run of digits the first one stays; a number's sign, its exponent (``e-05``, ``E+02``) and all but one of the
spaces before it go. So lines of one format string have one skeleton, however wide their numbers are, and where the
bytes that stayed lay before says how wide each was.
"""

from __future__ import annotations

import numpy as np

from harness.logs.numerals import Mask
from harness.values.trace import IntArray

__all__ = ["OPENERS", "Bytes", "skeleton_of"]

Bytes = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

Places = np.ndarray[tuple[int], np.dtype[np.int32]]

OPENERS = b" \t:=([{,|\"'"
"""Before a number's minus sign; behind others it joins two words or two digits."""
_OPENER = np.zeros(256, np.bool_)
_OPENER[np.frombuffer(OPENERS, np.uint8)] = True
_GOES_ON = np.zeros(256, np.bool_)
_GOES_ON[np.frombuffer(b"0123456789.+-_" + bytes(range(65, 91)) + bytes(range(97, 123)), np.uint8)] = True
_ZERO, _SPACE, _MINUS, _PLUS = (np.uint8(ord(character)) for character in "0 -+")
_LOWER, _E = np.uint8(0x20), np.uint8(ord("e"))
_WIDEST_PADDING = 24
"""Spaces before a number that go at most."""


def skeleton_of(text: Bytes) -> tuple[Bytes, Places]:
    """The skeleton of whole lines, and where each of its bytes lies in the text.

    What stays of a line depends on that line alone.

    Args:
        text: (N,) bytes, the last one a newline.

    Returns:
        (M,) bytes and (M,) their places.
    """
    digit = (text - _ZERO) < 10
    goes = np.zeros(len(text), np.bool_)
    np.logical_and(digit[1:], digit[:-1], out=goes[1:])
    minus, plus = (_before_digit(text, sign, digit) for sign in (_MINUS, _PLUS))
    signs = minus[_OPENER[text[minus - 1]]]
    exponents = np.concatenate([minus, plus])
    exponents = exponents[(exponents > 1) & ((text[exponents - 1] | _LOWER) == _E) & digit[exponents - 2]]
    exponents = exponents[_ends(text, exponents, digit)]
    for part in (exponents - 1, exponents, exponents + 1, signs):
        goes[part] = True
    digit[signs] = True  # a number begins there
    _drop_padding(text, digit, goes)
    stays = ~goes
    return text[stays], np.flatnonzero(stays).astype(np.int32)


def _before_digit(text: Bytes, sign: np.uint8, digit: Mask) -> IntArray:
    """Where a sign stands right before a digit; not at the text's start."""
    at = np.flatnonzero(text == sign)
    at = at[(at > 0) & (at < len(text) - 1)]
    return at[digit[at + 1]]


def _ends(text: Bytes, sign: IntArray, digit: Mask) -> Mask:
    """(N,) whether a number ends with each of some exponents, which has one to three digits."""
    last = len(text) - 1
    behind = sign + 2
    for _ in range(2):
        behind += digit[np.minimum(behind, last)]
    return ~_GOES_ON[text[np.minimum(behind, last)]]


def _drop_padding(text: Bytes, number: Mask, goes: Mask) -> None:
    """Mark, in place, all spaces before a number but the first of them."""
    space = text == _SPACE
    at = np.flatnonzero(space[1:-1] & space[:-2] & number[2:]) + 1
    for _ in range(_WIDEST_PADDING):
        if not at.size:
            return
        goes[at] = True
        at = at - 1
        at = at[at > 0]
        at = at[space[at] & space[at - 1]]
