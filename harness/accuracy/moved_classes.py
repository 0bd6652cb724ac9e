"""Which classes a candidate answers more or less often than the reference, with the same weights on the same images.

The K×K table of the reference's answer against the candidate's has equal margins where nothing moved. Bhapkar's test of
that (*JASA* 61 (1966), 228-235) takes pixels for independent; here the covariance of the net movements comes from
clusters of images instead, and the statistic is Hotelling's T², whose F distribution knows how few clusters there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
from scipy.special import fdtrc, stdtr

__all__ = ["MovedClass", "Movement", "moved_classes"]

FloatArray = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class MovedClass:
    """One class.

    Args:
        index: of the class.
        net: pixels that the candidate answers more with it than the reference; negative: fewer.
        chance: of a net movement as large between two sides that move alike, adjusted for all classes (Holm).
    """

    index: int
    net: int
    chance: float


@final
@dataclass(frozen=True)
class Movement:
    """All classes.

    Args:
        classes: those with any movement, the least likely first.
        chance: of all movements together by Bhapkar's test over clusters; None where clusters are too few for it.
        clusters: how many.
    """

    classes: tuple[MovedClass, ...]
    chance: float | None
    clusters: int


def moved_classes(net: FloatArray) -> Movement:
    """Test the net movements.

    Args:
        net: (g, K) pixels by which each class is answered more often by the candidate, in each of g clusters.
    """
    count = len(net)
    totals = net.sum(axis=0)
    deviations = net - net.mean(axis=0)
    if count < 2:
        moved = [MovedClass(int(i), int(totals[i]), 1.0) for i in np.flatnonzero(totals)]
        return Movement(tuple(moved), None, count)
    covariance = count / (count - 1) * deviations.T @ deviations
    variances = np.diag(covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(variances > 0, totals / np.sqrt(variances), np.where(totals == 0, 0.0, np.inf * np.sign(totals)))
    chances = 2 * stdtr(count - 1, -np.abs(t))
    moving = np.flatnonzero(np.abs(net).sum(axis=0))
    order = moving[np.argsort(chances[moving], kind="stable")]
    classes, largest = [], 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, float(chances[index]) * (len(order) - rank)))
        classes.append(MovedClass(int(index), int(totals[index]), largest))
    return Movement(tuple(classes), _together(totals, covariance, count), count)


def _together(totals: FloatArray, covariance: FloatArray, clusters: int) -> float | None:
    """Hotelling's T² of the movements, of which one follows from the others."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(float(values.max(initial=0.0)), 0.0) * 1e-10
    rank = int(kept.sum())
    if rank == 0 or clusters <= rank:
        return None
    projected = vectors[:, kept].T @ totals
    squared = float((projected**2 / values[kept]).sum())
    return float(fdtrc(rank, clusters - rank, (clusters - rank) / (rank * (clusters - 1)) * squared))
