"""Whether what came back from the all-reduce is the mean of what the ranks brought.

Each rank's gradient of each parameter is cut into blocks, and what is compared are the sums over the blocks. A sum is
linear: the sums of the mean are the means of the sums, whatever the blocks are. What remains is rounding, and that is
bounded: the mean of R numbers that are added in any order and multiplied by 1/R is off by at most (R + 2) u times the
mean of their sizes, u being the format's unit (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
section 4.2: R - 1 additions; the product and 1/R itself round once each).

Where the bound is exceeded, the error tells who: a rank r whose gradients arrive f times leaves (f - 1) gᵣ/R, which is
proportional to that rank's own gradients and to nobody else's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.values.trace import FloatArray

__all__ = ["BLOCKS", "GradientMean", "RankGradients", "weigh_mean"]

BLOCKS = 16
"""Blocks a parameter: enough to tell the ranks' gradients apart, each of which is a direction in so many dimensions."""

_SLACK = 2.0
"""Over the bound of the mean's rounding: a library may add in another format, or in two steps."""


@dataclass(frozen=True, eq=False)
class RankGradients:
    """One rank's gradients of P parameters in one iteration.

    Args:
        norm: of all its gradients together, before the all-reduce.
        sums: (P, BLOCKS) sums over blocks of each gradient before the all-reduce.
        sizes: (P, BLOCKS) sums of the same elements' absolute values.
        means: (P, BLOCKS) sums over the same blocks of what came back; empty where nothing was reduced.
        units: (P,) of each, what one rounding of a number is at most, relative to it.
        least: (P,) of each block, what the elements that are too small for the format may lose, absolute.
    """

    norm: float
    sums: FloatArray
    sizes: FloatArray
    means: FloatArray
    units: FloatArray
    least: FloatArray


@dataclass(frozen=True)
class GradientMean:
    """What came back from one all-reduce of gradients, beside the mean of what was brought.

    Args:
        excess: the largest error over what rounding explains; at most 1 where it is the mean.
        parameter: where that is.
        error: there, relative to the mean of the ranks' sizes.
        odd: the ranks that got back something else than most; all where no half of them agrees.
        factors: of each rank, how many times its gradients arrived; 1 where they did as they must. Empty where no such
            factors explain the error.
    """

    excess: float
    parameter: str = ""
    error: float = 0.0
    odd: tuple[int, ...] = ()
    factors: tuple[float, ...] = ()


def weigh_mean(ranks: Sequence[RankGradients], names: Sequence[str]) -> GradientMean | None:
    """Hold what came back to the mean of what the ranks brought; None where nothing was reduced.

    Args:
        ranks: R of them, in their order.
        names: of the P parameters.
    """
    if any(not rank.means.size for rank in ranks):
        return None
    sums, sizes, means = (np.stack([getattr(rank, part) for rank in ranks]) for part in ("sums", "sizes", "means"))
    with np.errstate(all="ignore"):  # what isn't finite is told by its norm
        expected, size = sums.mean(axis=0), sizes.mean(axis=0)
        unit, least = (np.stack([getattr(rank, part) for rank in ranks]).max(axis=0) for part in ("units", "least"))
        bound = _SLACK * ((len(ranks) + 2) * unit[:, None] * size + least[:, None])
        errors = means - expected
        excess = np.abs(errors) / np.where(bound > 0, bound, 1.0)
    excess = np.where((errors == 0) | ~np.isfinite(sums).all(axis=0), 0.0, excess)
    excess = np.where(np.isnan(excess), math.inf, excess)
    largest = float(excess.max(initial=0.0))
    odd = _odd(means)
    if largest <= 1:
        return GradientMean(largest, odd=odd)
    rank, parameter, block = (int(at) for at in np.unravel_index(int(excess.argmax()), excess.shape))
    there = float(errors[rank, parameter, block] / size[parameter, block]) if size[parameter, block] else math.inf
    off = (excess[rank] > 1).any(axis=1)
    factors = _factors(errors[rank][off], sums[:, off] / len(ranks), bound[off])
    return GradientMean(largest, names[parameter], there, odd, factors)


def _odd(means: FloatArray) -> tuple[int, ...]:
    """The ranks that hold another mean than most."""
    held = [each.tobytes() for each in means]
    most, times = Counter(held).most_common(1)[0]
    if 2 * times <= len(held):
        return tuple(range(len(held)))
    return tuple(rank for rank, each in enumerate(held) if each != most)


def _factors(errors: FloatArray, shares: FloatArray, bound: FloatArray) -> tuple[float, ...]:
    """How many times each rank's gradients arrived: of one rank alone where that explains all, else of all at once.

    Args:
        errors: (Q, BLOCKS) of the parameters that are off.
        shares: (R, Q, BLOCKS) what each rank should have brought to the mean.
        bound: (Q, BLOCKS) that rounding explains.
    """
    count = len(shares)
    if not np.isfinite(errors).all():
        return ()
    alone = {rank: factor for rank in range(count) if (factor := _alone(errors, shares[rank], bound)) is not None}
    if len(alone) == 1:
        ((rank, factor),) = alone.items()
        return tuple(factor if each == rank else 1.0 for each in range(count))
    used = bound.ravel() > 0
    weights = 1 / bound.ravel()[used]
    rows = shares.reshape(count, -1)[:, used].T * weights[:, None]
    found, _, held, _ = np.linalg.lstsq(rows, errors.ravel()[used] * weights, rcond=1e-9)
    left = np.abs(errors.ravel()[used] * weights - rows @ found)
    explained = held == count and (left <= 1 + np.abs(found).max(initial=0.0)).all()
    return tuple((1 + found).tolist()) if explained else ()


def _alone(errors: FloatArray, share: FloatArray, bound: FloatArray) -> float | None:
    """How many times one rank's gradients arrived where that explains every error; the factor that is furthest from 1.

    A fault may strike some parameters alone and each otherwise, so that each has a factor of its own.
    """
    squares = (share * share).sum(axis=1)
    if not (squares > 0).all():
        return None
    changes = (errors * share).sum(axis=1) / squares
    left = np.abs(errors - changes[:, None] * share)
    if not (left <= bound * (1 + np.abs(changes[:, None]))).all():
        return None
    return float(1 + changes[np.abs(changes).argmax()])
