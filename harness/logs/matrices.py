"""The lines of a text, those of one width as a matrix of bytes, and what may stand in each of its columns."""

from __future__ import annotations

import numpy as np

from harness.logs.numerals import PADDING, Mask, WordArray
from harness.logs.skeletons import Bytes
from harness.values.trace import IntArray

__all__ = ["Fit", "Lines", "Matrix"]

_NEWLINE = ord("\n")
_CHUNK = 1 << 15  # bytes compared at a time: they, the form and the result stay in the processor's nearest caches


class Lines:
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

    def buffer_of(self, rows: IntArray) -> tuple[bytes, int, int]:
        """A text that holds some lines, one after another and padded; where they begin in it, and their bytes.

        Args:
            rows: their numbers, rising.
        """
        starts, ends = self.starts[rows], self.starts[rows] + self.widths[rows]
        if rows[-1] - rows[0] + 1 == len(rows):
            return self.buffer, int(starts[0]), int(ends[-1] - starts[0])
        first, last = int(rows[0]), int(rows[-1]) + 1
        mine = np.zeros(last - first, np.bool_)
        mine[rows - first] = True
        held = np.repeat(mine, self.widths[first:last])
        parts = self.text[int(starts[0]) : int(ends[-1])][held]
        return parts.tobytes() + bytes(PADDING), 0, len(parts)

    def gaps(self) -> list[tuple[int, int]]:
        """The stretches of the piece that are not read."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.unread, [False]])))
        begins, ends = edges[::2], edges[1::2] - 1
        return list(zip(self.starts[begins].tolist(), (self.starts[ends] + self.widths[ends]).tolist(), strict=True))


class Matrix:
    """Lines of one width, one a row; the bytes behind the last row are some other text's."""

    def __init__(self, text: Bytes, starts: IntArray, width: int) -> None:
        self.width, self.count = width, len(starts)
        if (starts[-1] - starts[0]) == (self.count - 1) * width:  # they follow each other
            self._flat = text[int(starts[0]) :]
        else:
            spare = np.full(-(-PADDING // width), starts[0])
            windows = np.ndarray((len(text) - width + 1,), f"V{width}", text, strides=(1,))  # a window at each byte
            self._flat = windows[np.concatenate([starts, spare])].view(np.uint8)
        self.flat = self._flat[: self.count * width]

    def words(self, column: int) -> WordArray:
        """(N,) the eight bytes of each row from a column on, the first of them the lowest."""
        return np.ndarray((self.count,), "<u8", self._flat, column, (self.width,))

    def cut(self, begin: int, end: int) -> Bytes:
        """(N, end − begin) columns."""
        return self.flat.reshape(self.count, self.width)[:, begin:end]


class Fit:
    """What may stand at each byte of a line: from ``low`` on, ``span`` further at most."""

    def __init__(self, low: Bytes, span: Bytes) -> None:
        self.low, self.span, self.width = low, span, len(low)
        rows = max(1, _CHUNK // len(low))
        self._lows, self._spans = np.tile(low, rows), np.tile(span, rows)

    def fits(self, flat: Bytes) -> Mask:
        """(N,) whether each row fits, of a matrix of N rows laid out row after row."""
        fits = np.ones(len(flat) // self.width, np.bool_)
        all_off, all_bad = np.empty(len(self._lows), np.uint8), np.empty(len(self._lows), np.bool_)
        for start in range(0, len(flat), len(self._lows)):
            part = flat[start : start + len(self._lows)]
            off, bad = all_off[: len(part)], all_bad[: len(part)]
            np.subtract(part, self._lows[: len(part)], out=off)
            np.greater(off, self._spans[: len(part)], out=bad)
            if bad.any():
                fits[np.flatnonzero(bad) // self.width + start // self.width] = False
        return fits
