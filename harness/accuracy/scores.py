"""IoU, accuracy and iIoU from counts, as the Cityscapes benchmark defines them.

Source: cityscapesscripts, evaluation/evalPixelLevelSemanticLabeling.py. An answer on a pixel whose label is ignored
costs nothing; an answer that means an ignored label is a miss of the pixel's own class. iIoU ("nIoU" in that script's
table) weights the hits and misses of each instance by the average size of its class over its own; false alarms count
plain. A mean is over the classes for which the number exists. One that doesn't exist is None, never 0 or NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from harness.accuracy.image_counts import ImageCounts, InstanceCounts, category_key, sum_confusions, sum_instances
from harness.accuracy.label_table import LabelTable

__all__ = ["NO_INSTANCE_MAPS", "Score", "Scores", "score_counts", "score_images"]

NO_INSTANCE_MAPS = "not measured: no instance maps"

Matrix = npt.NDArray[np.int64]


@final
@dataclass(frozen=True)
class Score:
    """Of one class or category.

    Args:
        name: its name.
        iou: intersection over union, 0 … 1; None where it occurs in neither labels nor answers.
        accuracy: the share of its pixels that are answered right; None where it occurs in no label.
        iiou: instance-weighted IoU; None where there is none.
        pixels: of it in the labels.
    """

    name: str
    iou: float | None
    accuracy: float | None
    iiou: float | None
    pixels: int


@final
@dataclass(frozen=True, eq=False)
class Scores:
    """Of a data set.

    Args:
        table: its labels.
        confusion: (R, R) pixels, labels down, answers across.
        classes: a score for each label that isn't ignored.
        categories: a score for each category.
        pixel_accuracy: the share of the scored pixels that are answered right; None without one.
        images: how many.
        with_instances: whether every image had an instance map.
    """

    table: LabelTable
    confusion: Matrix
    classes: tuple[Score, ...]
    categories: tuple[Score, ...]
    pixel_accuracy: float | None
    images: int
    with_instances: bool

    @property
    def mean_iou(self) -> float | None:
        """mIoU: the mean over the classes that occur in labels or answers."""
        return _mean(score.iou for score in self.classes)

    @property
    def mean_accuracy(self) -> float | None:
        """The mean of the classes' accuracies, over those that occur in labels."""
        return _mean(score.accuracy for score in self.classes)

    @property
    def mean_iiou(self) -> float | None:
        """Over the classes with instances."""
        return _mean(score.iiou for score in self.classes)

    @property
    def mean_category_iou(self) -> float | None:
        """Over the categories that occur."""
        return _mean(score.iou for score in self.categories)

    @property
    def mean_category_iiou(self) -> float | None:
        """Over the categories with instances."""
        return _mean(score.iiou for score in self.categories)

    @property
    def counted(self) -> int:
        """How many classes the mIoU is the mean of."""
        return sum(score.iou is not None for score in self.classes)

    @property
    def absent(self) -> tuple[str, ...]:
        """The classes that occur in neither labels nor answers."""
        return tuple(score.name for score in self.classes if score.iou is None)


def score_images(images: Sequence[ImageCounts], table: LabelTable) -> Scores:
    """The scores of a data set.

    Raises:
        DataError: there is no image.
    """
    return score_counts(sum_confusions(images), sum_instances(images), table, len(images))


def score_counts(confusion: Matrix, instances: InstanceCounts | None, table: LabelTable, images: int = 0) -> Scores:
    """The scores of a confusion matrix (R, R) and the instances' counts."""
    scored = list(table.scored)
    classes = tuple(
        _score(
            table.labels[id_].name,
            confusion,
            [id_],
            [other for other in scored if other != id_],
            instances if id_ in table.with_instances else None,
            [id_],
            table.labels[id_].name,
        )
        for id_ in scored
    )
    categories = []
    for name in table.categories:
        members = [id_ for id_ in scored if table.labels[id_].category == name]
        outside = [id_ for id_ in scored if table.labels[id_].category != name]
        whole = table.instance_categories.get(name)
        categories.append(
            _score(
                name,
                confusion,
                members,
                outside,
                instances if whole else None,
                list(whole or members),
                category_key(name),
            )
        )
    total = int(confusion[scored].sum())
    right = int(confusion[scored, scored].sum())
    return Scores(
        table,
        confusion,
        classes,
        tuple(categories),
        right / total if total else None,
        images,
        instances is not None,
    )


def _score(
    name: str,
    confusion: Matrix,
    members: list[int],
    outside: list[int],
    instances: InstanceCounts | None,
    instance_members: list[int],
    key: str,
) -> Score:
    """Of some labels taken as one; ``outside`` are the scored labels that aren't of them, ``key`` names instances."""
    hit = int(confusion[np.ix_(members, members)].sum())
    labelled = int(confusion[members].sum())
    false = int(confusion[np.ix_(outside, members)].sum())
    union = labelled + false
    iiou = None
    if instances is not None:
        right, wrong = instances.right.get(key, 0.0), instances.wrong.get(key, 0.0)
        false_instances = int(confusion[np.ix_(outside, instance_members)].sum())
        whole = right + false_instances + wrong
        iiou = right / whole if whole else None
    return Score(name, hit / union if union else None, hit / labelled if labelled else None, iiou, labelled)


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
