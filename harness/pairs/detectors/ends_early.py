"""A candidate that stops before the reference does."""

from __future__ import annotations

import numpy as np

from harness.pairs.situation import Situation
from harness.pairs.views import View
from harness.values.verdict import Outcome

__all__ = ["ends_early"]


def ends_early(view: View) -> Situation | None:
    """The candidate's last iteration is well before the reference's."""
    ends = [int(log.iterations[-1]) for log in (view.reference, view.candidate)]
    missing = view.pair.only_reference
    if ends[1] >= ends[0] or not len(missing) or len(view.candidate.lacking):
        return None
    beyond = int(np.sum(missing > ends[1]))
    if beyond < 2 or beyond < 0.05 * len(view.reference):
        return None
    return Situation(
        "ends early",
        f"ends early: the candidate stops at {view.unit} {ends[1]} of {ends[0]}",
        Outcome.INCONCLUSIVE,
        f"the candidate lacks the last {beyond} records of the reference's {len(view.reference)}",
        "find out why it stopped (its output's end), and run it to the same iteration",
        ends[1],
    )
