"""View: two logs beside each other, and what every detector asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.pairs.deviation import as_relative, is_logarithmic, relative_deviation
from harness.pairs.growth import COARSEST_ROUNDING
from harness.pairs.joining import Pair
from harness.pairs.log import Log
from harness.pairs.printing import printed_unit
from harness.rules.dependence import Data, Dependence
from harness.values.trace import FloatArray
from harness.values.verdict import Agreement

__all__ = ["View"]

_SAME_START = 20
"""Two losses that are this many times closer than a loss changes from one iteration to the next aren't so by chance."""


@dataclass(frozen=True, eq=False)
class View:
    """Two logs beside each other, and what was measured of them.

    Args:
        pair: the two sides at their common iterations.
        reference: the trusted side's log.
        candidate: the ported side's log.
        dependence: how much of their ups and downs they share.
        agreements: what the two logs say of their runs.
        copied: whether the two are one file, or copies of one.
    """

    pair: Pair
    reference: Log
    candidate: Log
    dependence: Dependence
    agreements: Sequence[Agreement] = ()
    copied: bool = False

    @property
    def numbered(self) -> bool:
        """Whether both logs print iteration numbers."""
        return self.reference.numbered and self.candidate.numbered

    @property
    def contradicted(self) -> list[Agreement]:
        """Settings that have to agree, and of which the two logs print different values."""
        return [row for row in self.agreements if row.required and not row.agrees]

    @property
    def unit(self) -> str:
        """What the numbers count."""
        return "epoch" if self.reference.by_epoch or self.candidate.by_epoch else "iteration"

    @property
    def finite(self) -> bool:
        """Whether both sides are, at all common iterations."""
        return bool(np.isfinite(self.pair.reference).all() and np.isfinite(self.pair.candidate).all())

    @property
    def at_start(self) -> bool:
        """Whether the first common iteration is the first of a training."""
        first = int(self.pair.iterations[0])
        earlier = min(int(log.iterations[0]) for log in (self.reference, self.candidate))
        return self.numbered and self.unit == "iteration" and first <= 1 and earlier == first

    @property
    def before_any_update(self) -> str:
        """``, before any update`` where the first common iteration is that for sure: number 0, printed, one batch's."""
        sure = self.at_start and self.pair.iterations[0] == 0 and max(self.reference.window, self.candidate.window) == 1
        return ", before any update" if sure else ""

    @property
    def resolution(self) -> float:
        """A printed unit of the coarser side, relative to its loss."""
        units = [printed_unit(side) for side in (self.pair.reference, self.pair.candidate)]
        known = [unit for unit in units if not np.isnan(unit)]
        sizes = np.abs(self.pair.reference[np.isfinite(self.pair.reference)])
        return max(known) / float(np.median(sizes)) if known and len(sizes) and np.median(sizes) > 0 else 0.0

    @property
    def deviation(self) -> FloatArray:
        """(T,) of the candidate from the reference, in logarithms where both are positive."""
        return relative_deviation(self.pair.reference, self.pair.candidate)

    def relative(self, deviation: float) -> float:
        """A deviation as people read it: 0.01 is 1 % above the reference."""
        return as_relative(deviation, logarithmic=is_logarithmic(self.pair.reference, self.pair.candidate))

    @property
    def first_apart(self) -> float:
        """How far the first common losses are apart, relative."""
        return abs(self.relative(float(self.deviation[0])))

    @property
    def allowed_start(self) -> float:
        """How far two healthy sides may be apart before an update: the coarsest rounding and a printed unit."""
        return COARSEST_ROUNDING + self.resolution

    @property
    def starts_alike(self) -> bool:
        """Whether the first two losses are closer than chance brings them."""
        if len(self.pair) < 3 or not self.finite:
            return False
        changes = np.abs(np.diff(relative_deviation(np.ones(len(self.pair)), self.pair.reference)))
        near = np.maximum(np.abs(self.deviation[:2]) - self.resolution, 0.0)
        return bool(np.all(near * _SAME_START <= np.median(changes))) and self.resolution * 5 <= np.median(changes)

    @property
    def same_data(self) -> bool:
        """Whether both saw the same data: by their ups and downs, or by a start that only the same batch gives."""
        equal = np.array_equal(self.pair.reference, self.pair.candidate) and np.ptp(self.pair.reference) > 0
        return self.dependence.data is Data.SAME or bool(equal)
