"""Which elements of a tensor stand for all of it.

A sample that keeps time with a tensor's own structure sees one part of it and nothing else. Of the 589,824 weights of a
3×3 convolution every 144th is the same tap of every kernel, and stands in the same lane of a vector unit. So a step
through a tensor, in elements or in rows of them, has no factor in common with the number of its elements.
"""

from __future__ import annotations

from itertools import count
from math import gcd

__all__ = ["EVERY_NTH", "ROW", "SAMPLED_ELEMENTS", "SAMPLING", "largest_step", "smallest_step"]

ROW = 64
"""Elements that the recorder's sample of a tensor takes one after another: four lines of a processor's cache."""

SAMPLED_ELEMENTS = 4096
"""Elements of a tensor that its norm is estimated from, at least; those of a smaller one are read whole."""

SAMPLING = f"rows of {ROW} elements, {SAMPLED_ELEMENTS} or more of a tensor"
"""What the recorded norms of updates and parameters are estimated from: of other elements they are others."""

EVERY_NTH = "every n-th element"
"""What was sampled where a provenance doesn't say it."""


def largest_step(elements: int, most: int) -> int:
    """The largest step from 1 to ``most`` that has no factor in common with the number of elements."""
    return next((step for step in range(most, 1, -1) if gcd(step, elements) == 1), 1)


def smallest_step(elements: int, least: int) -> int:
    """The smallest step from ``least`` on that has no factor in common with the number of elements."""
    return next(step for step in count(least) if gcd(step, elements) == 1)
