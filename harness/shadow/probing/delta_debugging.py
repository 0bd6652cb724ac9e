"""Delta debugging: of what makes a test fail, a part that makes it fail and of which nothing can be left out.

A. Zeller & R. Hildebrandt, "Simplifying and isolating failure-inducing input", *IEEE Transactions on Software
Engineering* 28 (2002), algorithm ddmin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["minimize"]

T = TypeVar("T")


def minimize(items: Sequence[T], fails: Callable[[Sequence[T]], bool], least: int = 1) -> list[T]:
    """A part of the items that fails, of which no single one can be left out.

    Args:
        items: that fail together, in order.
        fails: whether a part of them does; it may say no where the time is over, then what is left may be larger.
        least: how many are kept at least, 1 or more.
    """
    kept, parts = list(items), 2
    while len(kept) > least:
        size = -(-len(kept) // parts)
        chunks = [kept[start : start + size] for start in range(0, len(kept), size)]
        others = [[each for other in chunks if other is not chunk for each in other] for chunk in chunks]
        smaller = next((part for part in chunks if least <= len(part) < len(kept) and fails(part)), None)
        if smaller is not None:
            kept, parts = smaller, 2
            continue
        smaller = next((part for part in others if len(chunks) > 2 and len(part) >= least and fails(part)), None)
        if smaller is not None:
            kept, parts = smaller, max(parts - 1, 2)
        elif len(chunks) >= len(kept):
            break
        else:
            parts = min(len(kept), 2 * parts)
    return kept
