"""Printing: what the decimals of two logs allow to be said where they agree to the last one."""

from __future__ import annotations

import numpy as np

from harness.pairs.joining import Pair
from harness.pairs.log import Log
from harness.rules.dependence import MINIMUM_ITERATIONS
from harness.values.trace import FloatArray

__all__ = ["agree_as_printed", "identical", "printed_unit"]

_COARSEST_UNIT = 1e-3
"""A printed unit that is larger than this, relative to the loss, hides what an agreement to it would show."""


def agree_as_printed(pair: Pair, reference: Log, candidate: Log) -> bool:
    """Whether no iteration is further apart than the last printed digit, and that this says something.

    It says nothing where values are numbered by position, are running means, never change, are few, or are printed
    coarsely.

    Args:
        pair: the two sides, finite.
        reference: the trusted side's log.
        candidate: the ported side's log.
    """
    if len(pair) < MINIMUM_ITERATIONS or max(reference.window, candidate.window) > 1:
        return False
    if not (reference.numbered and candidate.numbered) or np.ptp(pair.reference) == 0:
        return False
    units = [printed_unit(side) for side in (pair.reference, pair.candidate)]
    unit = 0.0 if np.any(np.isnan(units)) else max(units)  # printed in full: nothing is hidden
    fine = unit <= _COARSEST_UNIT * float(np.abs(pair.reference).min())
    return fine and bool(np.all(np.abs(pair.candidate - pair.reference) <= 1.001 * unit))


def identical(pair: Pair) -> bool:
    """Whether the two sides have the same values."""
    return bool(np.array_equal(pair.reference, pair.candidate))


def printed_unit(values: FloatArray) -> float:
    """One unit of the last decimal that a log prints, found from its values; NaN where they are printed in full."""
    finite = values[np.isfinite(values)]
    for decimals in range(12):
        if np.allclose(finite, np.round(finite, decimals), rtol=1e-15, atol=0):
            return float(10.0**-decimals)
    return float("nan")
