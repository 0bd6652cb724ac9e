"""What a baseline can see: the spread of its healthy runs, and the smallest deviation that the gate calls.

The bounds are the gate's own (``TierRules``), so that nothing is promised that isn't called.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.rules.bounded import Bounds
from harness.rules.evaluation import RULE
from harness.rules.tier import TierRules

__all__ = ["Visibility", "measure_evaluation", "measure_visibility"]


@dataclass(frozen=True)
class Visibility:
    """What can be seen of one signal at one iteration.

    Args:
        signal: name.
        iteration: number.
        floor: relative standard deviation of a healthy run.
        detectable: smallest relative deviation that is called.
    """

    signal: str
    iteration: int
    floor: float
    detectable: float


def measure_visibility(rules: TierRules, iterations: Sequence[int]) -> tuple[Visibility, ...]:
    """What a tier's rules see of the loss, its components and the norms over all tensors.

    Args:
        rules: of a baseline's healthy runs.
        iterations: at which to say it; those beyond the runs' end are left out.
    """
    return tuple(one for bounds in rules.signal_bounds for one in _seen(bounds) if one.iteration in set(iterations))


def measure_evaluation(rules: TierRules) -> tuple[Visibility, ...]:
    """What a tier's rules see of what the model answers in evaluation mode.

    Args:
        rules: of a baseline's healthy runs.

    Returns:
        Of each loss, and of the share of the pixels that lie elsewhere in each head's confusion matrix, at each
        iteration that the model was asked after; nothing where it never was.
    """
    return tuple(one for bounds in rules.evaluation_bounds for one in _seen(bounds))


def _seen(bounds: Bounds) -> list[Visibility]:
    return [
        Visibility(signal.removeprefix(f"{RULE}/"), int(iteration), float(sigma), float(detectable))
        for signal, sigmas, seen in zip(bounds.signals, bounds.spread.sigma, bounds.below, strict=True)
        for iteration, sigma, detectable in zip(bounds.iterations, sigmas, seen, strict=True)
        if math.isfinite(sigma)  # else the healthy runs have no value there
    ]
