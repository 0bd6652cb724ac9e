"""Two logs of one run: copies, or equal in every digit that is printed."""

from __future__ import annotations

import numpy as np

from harness.pairs.joining import Pair
from harness.pairs.printing import printed_unit
from harness.pairs.situation import Situation
from harness.pairs.views import View
from harness.rules.dependence import MINIMUM_ITERATIONS
from harness.values.verdict import Outcome

__all__ = ["same_run"]


def same_run(view: View) -> Situation | None:
    """Copies of one file, or two logs that nothing tells apart."""
    pair = view.pair
    equal = len(pair) >= MINIMUM_ITERATIONS and _equal_as_printed(pair) and np.ptp(pair.reference) > 0
    fine = view.resolution <= 2e-3  # printed more coarsely, equal values are no sign of one run
    apart = any(not row.agrees and row.what in ("device", "torch", "torch_sdaa", "driver") for row in view.agreements)
    clocks = view.reference.clock and view.candidate.clock and view.reference.clock != view.candidate.clock
    if not view.copied and not (equal and fine and not apart and not clocks):
        return None
    kind = "copies of one file" if view.copied else f"equal in every printed digit at all {len(pair)} common iterations"
    return Situation(
        "same run",
        f"same run: the two logs are {kind}",
        Outcome.INCONCLUSIVE,
        f"the two logs are {kind}, and nothing in them tells two runs apart (no clock, no device): such a pair says "
        "nothing about a port",
        "give the logs of two runs; where they are, let each print its date and device",
    )


def _equal_as_printed(pair: Pair) -> bool:
    """Whether the finer side, rounded to the coarser one's digits, is the coarser one."""
    if np.array_equal(pair.reference, pair.candidate):
        return True
    units = [printed_unit(side) for side in (pair.reference, pair.candidate)]
    if np.all(np.isnan(units)) or not np.isfinite(pair.reference).all() or not np.isfinite(pair.candidate).all():
        return False
    unit = float(np.nanmax(units))
    return bool(np.all(np.abs(pair.reference - pair.candidate) <= 0.501 * unit))
