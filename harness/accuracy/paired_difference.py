"""How sure a difference in mIoU is, of two sides that answered the same images.

mIoU is a function of the summed confusion matrix, not a mean over images, and images of one city or sequence aren't
independent. So whole clusters are left out one at a time, on both sides alike, and the differences recomputed: the
jackknife (Efron & Stein, "The jackknife estimate of variance", *Annals of Statistics* 9 (1981)); with g clusters the
interval is Student's with g − 1 degrees of freedom. A paired test of pixels, as McNemar's, would take neighbours for
independent.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import stdtrit

from harness.accuracy.image_counts import ImageCounts, Matrix, cluster_of, sum_confusions
from harness.accuracy.label_table import LabelTable
from harness.values.errors import DataError

__all__ = ["PairedDifference", "clusters_of", "mean_iou", "paired_difference"]


@final
@dataclass(frozen=True)
class PairedDifference:
    """Candidate − reference, in points of mIoU (1 point = 0.01).

    Args:
        difference: of the whole set.
        low: end of the interval.
        high: its other end; both None where there is one cluster alone.
        standard_error: by the jackknife; None likewise.
        clusters: how many.
        confidence: of the interval.
    """

    difference: float
    low: float | None
    high: float | None
    standard_error: float | None
    clusters: int
    confidence: float


def clusters_of(images: Sequence[str], *, by_image: bool = False) -> list[str]:
    """The cluster of each image, by its name; the image itself where asked, or where all are of one cluster."""
    clusters = list(images) if by_image else [cluster_of(image) for image in images]
    return clusters if len(set(clusters)) > 1 else list(images)


def mean_iou(confusion: Matrix, table: LabelTable) -> float:
    """MIoU 0 … 1 of a confusion matrix (R, R), over the classes that occur; NaN without one."""
    scored = list(table.scored)
    rows = confusion[scored]
    hits = confusion[scored, scored].astype(np.float64)
    unions = rows.sum(axis=1) + rows[:, scored].sum(axis=0) - hits
    there = unions > 0
    return float((hits[there] / unions[there]).mean()) if there.any() else math.nan


def paired_difference(
    reference: Sequence[ImageCounts],
    candidate: Sequence[ImageCounts],
    table: LabelTable,
    *,
    confidence: float = 0.95,
    by_image: bool = False,
) -> PairedDifference:
    """The difference in mIoU, and its interval.

    Args:
        reference: counts of n images.
        candidate: counts of the same images, in any order.
        table: the data set's labels.
        confidence: of the interval.
        by_image: whether each image is a cluster of its own, which independent scenes are.

    Raises:
        DataError: the two sides' images differ.
    """
    ours, theirs = ({image.image: place for place, image in enumerate(side)} for side in (reference, candidate))
    if ours.keys() != theirs.keys():
        raise DataError(
            "the two sides didn't answer the same images",
            observed=f"{len(ours)} of the reference, {len(theirs)} of the candidate, "
            f"{len(ours.keys() & theirs.keys())} of both",
        )
    members: dict[str, list[str]] = defaultdict(list)
    for name, cluster in zip(ours, clusters_of(list(ours), by_image=by_image), strict=True):
        members[cluster].append(name)

    def sums(names: Iterable[str]) -> tuple[Matrix, Matrix]:
        """Of both sides; a set may have thousands of images with 150 classes, whose matrices are made one at a time."""
        chosen = list(names)
        return (
            sum_confusions(reference[ours[name]] for name in chosen),
            sum_confusions(candidate[theirs[name]] for name in chosen),
        )

    def points(one: Matrix, other: Matrix) -> float:
        return 100 * (mean_iou(other, table) - mean_iou(one, table))

    whole = sums(ours)
    difference = points(*whole)
    count = len(members)
    if count < 2:
        return PairedDifference(difference, None, None, None, count, confidence)
    without = (sums(names) for names in members.values())
    left_out = np.array([points(whole[0] - one, whole[1] - other) for one, other in without])
    variance = (count - 1) / count * float(((left_out - left_out.mean()) ** 2).sum())
    error = math.sqrt(variance)
    half = float(stdtrit(count - 1, (1 + confidence) / 2)) * error
    return PairedDifference(difference, difference - half, difference + half, error, count, confidence)
