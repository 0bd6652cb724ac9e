"""Which elements of a tensor stand for all of it.

A sample that keeps time with a tensor's own structure sees one part of it and nothing else. 147,456 weights of a 3×3
convolution have nine taps each: every 36th element is the same tap of every kernel, and stands in the same lane of a
vector unit. So every step here has no factor in common with the number of elements.
"""

from __future__ import annotations

from itertools import count
from math import gcd

__all__ = ["ROW", "SAMPLING", "largest_step", "smallest_step"]

ROW = 64
"""Elements that a sample of the recorder takes one after another: four lines of a processor's cache."""

SAMPLING = f"rows of {ROW} elements"
"""What the recorded norms of updates and parameters are estimated from: of other elements they are others."""


def largest_step(elements: int, farthest: int) -> int:
    """The largest step from 1 to ``farthest`` that has no factor in common with the number of elements."""
    return next((step for step in range(farthest, 1, -1) if gcd(step, elements) == 1), 1)


def smallest_step(elements: int, nearest: int) -> int:
    """The smallest step from ``nearest`` on that has no factor in common with the number of elements."""
    return next(step for step in count(nearest) if gcd(step, elements) == 1)
