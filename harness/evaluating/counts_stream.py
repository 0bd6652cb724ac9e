"""Counts on disk, a line an image as it is done, so that an evaluation that was cut short goes on where it was."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final, overload

import numpy as np

from harness.accuracy.image_counts import ImageCounts, InstanceCounts
from harness.accuracy.label_table import LabelTable
from harness.store.decoding import complete_lines, decode_value, encode_value
from harness.values.bounds import Count
from harness.values.errors import RunError

__all__ = ["CountsOfRows", "CountsStream", "ImageRow", "counts_of", "read_rows"]

_LARGEST = 4 * 2**30


@final
@dataclass(frozen=True)
class ImageRow:
    """One image that is done.

    Args:
        image: its name.
        size: (height, width).
        seconds: that the model took, with the copies from and to the device.
        passes: of the model.
        cells: (label id, answered id, pixels) of each pair that occurs; None for an image without labels.
        instances: weighted pixels of its instances; None without an instance map.
    """

    image: str
    size: tuple[Count, Count]
    seconds: float
    passes: Count
    cells: tuple[tuple[Count, Count, Count], ...] | None = None
    instances: InstanceCounts | None = None

    @classmethod
    def of(cls, counts: ImageCounts, passes: int) -> ImageRow:
        """The row of an image's counts."""
        rows, columns = np.nonzero(counts.confusion)
        values = counts.confusion[rows, columns]
        cells = tuple(zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True))
        return cls(counts.image, counts.size, counts.seconds, passes, cells, counts.instances)


class CountsStream:
    """Appends rows; each is a line that is written at once, so that a killed process leaves whole lines but the last.

    Args:
        path: the file; a torn last line of an earlier process is cut off.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                with path.open("r+b") as file:
                    file.truncate(whole)
        self._file = path.open("ab")

    def write(self, row: ImageRow) -> None:
        """Append a row."""
        self._file.write(encode_value(row, indent=None).encode())
        self._file.flush()

    def close(self) -> None:
        """Make sure that the disk has it."""
        os.fsync(self._file.fileno())
        self._file.close()


def read_rows(paths: Sequence[Path]) -> dict[str, ImageRow]:
    """The rows of all files, by the image's name; a torn last line is left out, of an image that is in two the first.

    Raises:
        RunError: a line is damaged; says which.
    """
    rows: dict[str, ImageRow] = {}
    for path in paths:
        if not path.exists():
            continue
        if path.stat().st_size > _LARGEST:
            raise RunError("the counts are too large", where=path, allowed=f"{_LARGEST} bytes")
        for number, line in enumerate(complete_lines(path.read_bytes()), start=1):
            if line:
                row = decode_value(line, ImageRow, f"{path}, line {number}", RunError, hint=f"rm {path}")
                rows.setdefault(row.image, row)
    return rows


def counts_of(row: ImageRow, table: LabelTable) -> ImageCounts:
    """The counts of a row.

    Raises:
        RunError: it has no labels, or counts labels that the table doesn't have.
    """
    if row.cells is None:
        raise RunError("an image has no labels to score against", where=row.image)
    size = len(table.labels)
    confusion = np.zeros((size, size), np.int64)
    for label, answer, pixels in row.cells:
        if label >= size or answer >= size:
            raise RunError(
                "a count is of a label that the data set doesn't have",
                where=row.image,
                observed=(label, answer),
                allowed=f"0 … {size - 1}",
            )
        confusion[label, answer] = pixels
    return ImageCounts(row.image, row.size, confusion, row.instances, row.seconds)


@final
class CountsOfRows(Sequence[ImageCounts]):
    """The counts of rows, each made when it is asked for: of a set of thousands of images one matrix is in memory.

    Args:
        rows: of images with labels.
        table: the data set's labels.
    """

    def __init__(self, rows: Sequence[ImageRow], table: LabelTable) -> None:
        self._rows = rows
        self._table = table

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> ImageCounts: ...

    @overload
    def __getitem__(self, place: slice) -> CountsOfRows: ...

    def __getitem__(self, place: int | slice) -> ImageCounts | CountsOfRows:
        """One image's counts, or those of some rows.

        Raises:
            RunError: an image has no labels, or counts labels that the table doesn't have.
        """
        if isinstance(place, slice):
            return CountsOfRows(self._rows[place], self._table)
        return counts_of(self._rows[place], self._table)
