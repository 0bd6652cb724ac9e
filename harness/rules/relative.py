"""Deviations of logarithms as people read them: 0.01 is 1 % above the reference."""

from __future__ import annotations

import numpy as np

from harness.values.trace import FloatArray

__all__ = ["from_logarithm", "from_logarithms"]


def from_logarithm(deviation: float) -> float:
    """exp(deviation) − 1; ∞ past the range of floats, which bounds of two scattered runs do reach."""
    return float(from_logarithms(np.asarray(deviation)))


def from_logarithms(deviations: FloatArray) -> FloatArray:
    """(…) exp(deviations) − 1, ∞ past the range of floats."""
    with np.errstate(over="ignore"):
        return np.asarray(np.expm1(deviations), dtype=np.float64)
