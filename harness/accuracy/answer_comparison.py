"""Where two sides with the same weights answer otherwise: by class, by the reference's margin, image by image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from harness.values.errors import DataError

__all__ = ["NO_MARGIN", "OCTAVES", "AnswerComparison", "ImageComparison", "compare_answers"]

OCTAVES = 32
"""Bins of the reference's margin: kept codes in eighths of an octave, eight codes a bin."""

NO_MARGIN = -1
"""The largest margin's code where nothing is answered otherwise, or no margin was kept."""


@final
@dataclass(frozen=True, eq=False)
class ImageComparison:
    """One image.

    Args:
        image: its name.
        table: (K, K) pixels, the reference's answer down, the candidate's across.
        by_margin: (OCTAVES,) pixels that are answered otherwise, by the code of the reference's margin // 8.
        all_by_margin: (OCTAVES,) all pixels likewise.
        largest: code of the largest margin at which the candidate answers otherwise; NO_MARGIN for none.
    """

    image: str
    table: npt.NDArray[np.int64]
    by_margin: npt.NDArray[np.int64]
    all_by_margin: npt.NDArray[np.int64]
    largest: int

    @property
    def otherwise(self) -> int:
        """Pixels that are answered otherwise."""
        return int(self.table.sum() - np.trace(self.table))


@final
@dataclass(frozen=True, eq=False)
class AnswerComparison:
    """A data set.

    Args:
        images: one or more.

    Raises:
        DataError: there is none.
    """

    images: tuple[ImageComparison, ...]

    def __post_init__(self) -> None:
        if not self.images:
            raise DataError("there are no answers to compare", observed="an empty set")

    @property
    def pixels(self) -> int:
        """All of them."""
        return int(self.table.sum())

    @property
    def otherwise(self) -> int:
        """Pixels that are answered otherwise."""
        return sum(image.otherwise for image in self.images)

    @property
    def share(self) -> float:
        """Of the pixels that are answered otherwise."""
        return self.otherwise / max(self.pixels, 1)

    @property
    def largest(self) -> int:
        """Code of the largest margin at which the candidate answers otherwise; NO_MARGIN for none."""
        return max(image.largest for image in self.images)

    @property
    def table(self) -> npt.NDArray[np.int64]:
        """(K, K) pixels, the reference's answer down, the candidate's across."""
        total: npt.NDArray[np.int64] = np.sum([image.table for image in self.images], axis=0)
        return total

    @property
    def by_margin(self) -> npt.NDArray[np.int64]:
        """(OCTAVES, 2) pixels that are answered otherwise, and all, by the reference's margin."""
        pairs: npt.NDArray[np.int64] = np.stack(
            [np.sum([image.by_margin for image in self.images], 0), np.sum([i.all_by_margin for i in self.images], 0)],
            axis=1,
        )
        return pairs

    def net(self, clusters: Mapping[str, str]) -> npt.NDArray[np.float64]:
        """(g, K) pixels by which each class is answered more often by the candidate, in each cluster of images."""
        places = {name: number for number, name in enumerate(dict.fromkeys(clusters.values()))}
        moved = np.zeros((len(places), len(self.images[0].table)))
        for image in self.images:
            moved[places[clusters[image.image]]] += image.table.sum(axis=0) - image.table.sum(axis=1)
        return moved


def compare_answers(
    image: str,
    reference: npt.NDArray[np.uint8],
    candidate: npt.NDArray[np.uint8],
    margins: npt.NDArray[np.uint8] | None,
    classes: int,
) -> ImageComparison:
    """Compare one image.

    Args:
        image: its name.
        reference: (H, W) classes.
        candidate: (H, W) classes.
        margins: (H, W) codes of the reference's margins; None where none were kept.
        classes: K.

    Raises:
        DataError: the sizes differ, or an answer is no class.
    """
    for what, array in (("the candidate's answers", candidate), ("the margins", margins)):
        if array is not None and array.shape != reference.shape:
            raise DataError(
                f"{what} are of another size than the reference's", where=image, observed=array.shape,
                allowed=reference.shape,
            )  # fmt: skip
    if max(int(reference.max(initial=0)), int(candidate.max(initial=0))) >= classes:
        raise DataError("an answer is no class", where=image, allowed=f"0 … {classes - 1}")
    cells = reference.astype(np.int64).ravel() * classes + candidate.ravel()
    table = np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
    none = np.zeros(OCTAVES, np.int64)
    if margins is None:
        return ImageComparison(image, table, none, none, NO_MARGIN)
    differs = reference != candidate
    octaves = margins >> 3
    found = margins[differs]
    return ImageComparison(
        image,
        table,
        np.bincount(octaves[differs].ravel(), minlength=OCTAVES),
        np.bincount(octaves.ravel(), minlength=OCTAVES),
        int(found.max()) if found.size else NO_MARGIN,
    )
