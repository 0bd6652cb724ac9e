"""What is counted of one image: its confusion matrix, and what its instances' pixels are worth.

Counts are kept image by image, since intervals and paired tests resample images; a data set's scores are those of the
sum. A confusion matrix has a row for each label id and a column for each id that an answer means. Whole numbers add up
in any order to the same sum; the weighted pixels of instances are added by ``math.fsum``, whose result is the exact sum
rounded once. So no score depends on how images were divided over processes, nor on their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from harness.accuracy.label_table import LabelTable
from harness.values.errors import DataError

__all__ = [
    "ImageCounts",
    "InstanceCounts",
    "Matrix",
    "category_key",
    "cluster_of",
    "count_image",
    "sum_confusions",
    "sum_instances",
]

Matrix = npt.NDArray[np.int64]

_GROUPS: int = 1000
"""Values of an instance map up to this are label ids of regions or groups; above, label id × 1000 + number."""


@final
@dataclass(frozen=True)
class InstanceCounts:
    """The pixels of instances, each weighted by the average size of its class over its own size.

    Args:
        right: label name, or ``category_key``, → weighted pixels that are answered as that class or category.
        wrong: the same → weighted pixels of its instances that are answered otherwise.
    """

    right: dict[str, float]
    wrong: dict[str, float]


@final
@dataclass(frozen=True, eq=False)
class ImageCounts:
    """One image.

    Args:
        image: its name, unique in the data set: ``frankfurt/frankfurt_000000_000294``.
        size: (height, width) in pixels.
        confusion: (R, R) pixels, labels down, answers across.
        instances: None where the image has no instance map.
        seconds: that the model took for it.
    """

    image: str
    size: tuple[int, int]
    confusion: Matrix
    instances: InstanceCounts | None = None
    seconds: float = 0.0


def count_image(
    name: str,
    answers: npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer],
    table: LabelTable,
    instance_map: npt.NDArray[np.integer] | None = None,
    seconds: float = 0.0,
) -> ImageCounts:
    """Count one image.

    Args:
        name: of the image.
        answers: (H, W) label ids that the answers mean.
        labels: (H, W) label ids.
        table: the data set's labels.
        instance_map: (H, W), values as Cityscapes' ``instanceIds`` have them.
        seconds: that the model took.

    Raises:
        DataError: the three differ in size, or a value is no id of the table; says which.
    """
    for what, array in (("answers", answers), ("an instance map", instance_map)):
        if array is not None and array.shape != labels.shape:
            raise DataError(f"{what} and labels differ in size", where=name, observed=array.shape, allowed=labels.shape)
    rows = len(table.labels)
    for what, array in (("an answer", answers), ("a label", labels)):
        if array.size and (int(array.max()) >= rows or int(array.min()) < 0):
            strange = sorted({int(v) for v in np.unique(array) if not 0 <= v < rows})
            raise DataError(f"{what} is no label id", where=name, observed=strange, allowed=f"0 … {rows - 1}")
    cells = labels.astype(np.int64).ravel() * rows + answers.astype(np.int64).ravel()
    confusion = np.bincount(cells, minlength=rows * rows).reshape(rows, rows)
    instances = None if instance_map is None else _count_instances(name, answers, instance_map, table)
    height, width = labels.shape
    return ImageCounts(name, (height, width), confusion, instances, seconds)


def _count_instances(
    name: str, answers: npt.NDArray[np.integer], instance_map: npt.NDArray[np.integer], table: LabelTable
) -> InstanceCounts:
    """Cityscapes' definition, evalPixelLevelSemanticLabeling.py: of each value above 1000 whose label isn't ignored."""
    right: dict[str, list[float]] = {}
    wrong: dict[str, list[float]] = {}
    categories = table.instance_categories
    flat, given = instance_map.ravel(), answers.ravel()
    inside = flat > _GROUPS
    values, places, sizes = np.unique(flat[inside], return_inverse=True, return_counts=True)
    counted = np.bincount(
        places.ravel() * len(table.labels) + given[inside], minlength=len(values) * len(table.labels)
    ).reshape(len(values), len(table.labels))
    for value, size, row in zip(values.tolist(), sizes.tolist(), counted, strict=True):
        id_ = value // _GROUPS
        if id_ >= len(table.labels):
            raise DataError(
                "an instance has no label", where=name, observed=value, allowed=f"1001 … {len(table.labels)}000"
            )
        label = table.labels[id_]
        if label.ignored:
            continue
        if label.average_size is None:
            raise DataError(
                "an instance map holds instances of a class that has none",
                where=name,
                observed=f"{value}, {label.name}",
            )
        weight = label.average_size / float(size)
        hits = {label.name: int(row[id_])}
        if label.category in categories:
            hits[category_key(label.category)] = int(row[list(categories[label.category])].sum())
        for of, hit in hits.items():
            right.setdefault(of, []).append(float(hit) * weight)
            wrong.setdefault(of, []).append(float(size - hit) * weight)
    return InstanceCounts(
        {of: math.fsum(parts) for of, parts in right.items()}, {of: math.fsum(parts) for of, parts in wrong.items()}
    )


def cluster_of(image: str) -> str:
    """The city or sequence that an image is part of, by its name: images of one aren't independent.

    Itself where it names none.
    """
    folder, slash, _ = image.rpartition("/")
    return folder if slash else image


def category_key(category: str) -> str:
    """The name of a category among instance counts: a data set may have a label of the same name."""
    return f"category {category}"


def sum_confusions(images: Iterable[ImageCounts]) -> Matrix:
    """(R, R) of all images together.

    Raises:
        DataError: there is no image.
    """
    total: Matrix | None = None
    for image in images:
        if total is None:
            total = np.zeros_like(image.confusion)
        total += image.confusion
    if total is None:
        raise DataError("there is no image to score", observed="an empty set", allowed="one image or more")
    return total


def sum_instances(images: Iterable[ImageCounts]) -> InstanceCounts | None:
    """Of all images together; None where one of them has no instance map."""
    right: dict[str, list[float]] = {}
    wrong: dict[str, list[float]] = {}
    for image in images:
        if image.instances is None:
            return None
        for sums, parts in ((right, image.instances.right), (wrong, image.instances.wrong)):
            for name, value in parts.items():
                sums.setdefault(name, []).append(value)
    return InstanceCounts(
        {name: math.fsum(parts) for name, parts in right.items()},
        {name: math.fsum(parts) for name, parts in wrong.items()},
    )
