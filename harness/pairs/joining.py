"""Joining: two series by iteration number, never by position alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.pairs.log import Series
from harness.values.errors import UsageError
from harness.values.trace import FloatArray, IntArray

__all__ = ["SLICES", "Pair", "common_iterations", "cut_slice", "join"]

SLICES = ("all", "last50", "first100", "skip1")
"""What the copies of the field's script compare: everything, or a part of it."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two series at the iterations that both have.

    Args:
        iterations: (T,) strictly increasing.
        reference: (T,) the trusted side's values.
        candidate: (T,) the ported side's values.
        only_reference: iterations that only the trusted side has.
        only_candidate: iterations that only the ported side has.
    """

    iterations: IntArray
    reference: FloatArray
    candidate: FloatArray
    only_reference: IntArray
    only_candidate: IntArray

    def __len__(self) -> int:
        return len(self.iterations)


def join(reference: Series, candidate: Series) -> Pair:
    """Two series by iteration."""
    common, mine, theirs = np.intersect1d(
        reference.iterations, candidate.iterations, assume_unique=True, return_indices=True
    )
    return Pair(
        iterations=common,
        reference=reference.values[mine],
        candidate=candidate.values[theirs],
        only_reference=np.setdiff1d(reference.iterations, common, assume_unique=True),
        only_candidate=np.setdiff1d(candidate.iterations, common, assume_unique=True),
    )


def common_iterations(series: Sequence[Series]) -> IntArray:
    """The iterations that all series have."""
    common = series[0].iterations
    for one in series[1:]:
        common = np.intersect1d(common, one.iterations, assume_unique=True)
    return common


def cut_slice(pair: Pair, name: str) -> slice:
    """The part of a pair's iterations that a copy of the field's script compares.

    Args:
        pair: two series at T common iterations.
        name: one of ``SLICES``.

    Raises:
        UsageError: there is no such slice.
    """
    slices = {
        "all": slice(None),
        "last50": slice(max(0, len(pair) - 50), None),
        "first100": slice(100),
        "skip1": slice(1, None),
    }
    if name not in slices:
        raise UsageError("there is no such slice", where="legacy", observed=name, allowed=", ".join(SLICES))
    return slices[name]
