"""Delta debugging: of what makes a test fail, a part that makes it fail and of which nothing can be left out.

A. Zeller & R. Hildebrandt, "Simplifying and isolating failure-inducing input", *IEEE Transactions on Software
Engineering* 28 (2002), algorithm ddmin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TypeVar

__all__ = ["minimize"]

T = TypeVar("T")


def minimize(
    items: Sequence[T],
    fails: Callable[[Sequence[T]], bool],
    least: int = 1,
    is_over: Callable[[], bool] = lambda: False,
) -> list[T]:
    """A part of the items that fails, of which no single one can be left out.

    Args:
        items: that fail together, in order.
        fails: whether a part of them does.
        least: how many are kept at least, 1 or more.
        is_over: asked before each part is tried whether the time is: then what is left may be larger.
    """
    kept, parts = list(items), 2
    while len(kept) > least:
        size = -(-len(kept) // parts)
        starts = range(0, len(kept), size)
        # Made one by one: all of them at once would be the square of what is kept.
        chunks = (kept[start : start + size] for start in takewhile(lambda _: not is_over(), starts))
        smaller = next((part for part in chunks if least <= len(part) < len(kept) and fails(part)), None)
        if smaller is not None:
            kept, parts = smaller, 2
            continue
        others = (kept[:start] + kept[start + size :] for start in takewhile(lambda _: not is_over(), starts))
        if len(starts) > 2:
            smaller = next((part for part in others if len(part) >= least and fails(part)), None)
        if smaller is not None:
            kept, parts = smaller, max(parts - 1, 2)
        elif len(starts) >= len(kept) or is_over():
            break
        else:
            parts = min(len(kept), 2 * parts)
    return kept
