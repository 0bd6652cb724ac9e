"""Random draws that are the same bytes on every machine, Python and numpy.

A draw is a pure function of its stream's name and of how many draws came before it (a counter-based generator), made
of 64-bit integer additions, multiplications, shifts and xors only: no floating point, no libm, nobody else's generator.

Source: SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, figure 16) for
scalars; for textures, a 32-bit finaliser of the same xor-shift-multiply form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar, final

import numpy as np
import numpy.typing as npt

__all__ = ["Draws", "speckle"]

Item = TypeVar("Item")

_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15


@final
class Draws:
    """A stream of draws with a name.

    Args:
        name: what tells this stream from every other: integers and strings, for example `("scenes", seed, index)`.
    """

    __slots__ = ("_key", "_taken")

    def __init__(self, *name: int | str) -> None:
        digest = hashlib.sha256(repr(name).encode()).digest()
        self._key = int.from_bytes(digest[:8], "little")
        self._taken = 0

    def word(self) -> int:
        """The next 64 bits, as an integer in [0, 2**64)."""
        self._taken += 1
        z = (self._key + self._taken * _GOLDEN) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """An integer in [0, n); n is far below 2**32, so that the bias of the multiply-shift is below 2**-32."""
        return ((self.word() >> 32) * n) >> 32

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high], both ends included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 draws."""
        return self.below(100) < percent

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self.below(len(items))]

    def shuffled(self, n: int) -> list[int]:
        """A permutation of range(n), each as likely as any other (Fisher–Yates)."""
        order = list(range(n))
        for last in range(n - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


def speckle(key: int, rows: npt.NDArray[np.int32], columns: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
    """White noise on a grid: 32 bits for each cell, a pure function of the key and the cell.

    Args:
        key: names the texture; only its low 32 bits count.
        rows: int32, any shape that broadcasts with `columns`.
        columns: int32.

    Returns:
        uint32, of the broadcast shape.
    """
    row = rows.astype(np.uint32) * np.uint32(0x9E3779B1)
    column = columns.astype(np.uint32) * np.uint32(0x85EBCA77)
    noise = (row ^ np.uint32(key & 0xFFFFFFFF)) + column
    noise = (noise ^ (noise >> np.uint32(16))) * np.uint32(0x7FEB352D)
    noise = (noise ^ (noise >> np.uint32(15))) * np.uint32(0x846CA68B)
    mixed: npt.NDArray[np.uint32] = noise ^ (noise >> np.uint32(16))
    return mixed
