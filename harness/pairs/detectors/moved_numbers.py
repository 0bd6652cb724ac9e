"""Iterations that are numbered otherwise: from another first one, or from a checkpoint on."""

from __future__ import annotations

import numpy as np

from harness.pairs.deviation import relative_deviation
from harness.pairs.joining import join
from harness.pairs.log import Series
from harness.pairs.situation import Situation
from harness.pairs.views import View
from harness.rules.dependence import MINIMUM_ITERATIONS, Data, measure_dependence
from harness.values.verdict import Outcome

__all__ = ["begins_late", "moved"]


def moved(view: View) -> Situation | None:
    """An offset in numbering, or a resumed run beside a full one."""
    if view.same_data or not view.finite or view.unit == "epoch":
        return None
    shift = _best_shift(view.reference.series, view.candidate.series)
    if shift is None:
        return None
    small = abs(shift) <= max(1, int(np.median(np.diff(view.pair.iterations)))) if len(view.pair) > 1 else False
    head = (
        f"offset in numbering: the candidate's iterations fit once they are moved by {shift:+d}"
        if small
        else f"resumed run beside a full one: the candidate's iterations fit moved by {shift:+d}"
    )
    return Situation(
        "offset in numbering" if small else "resumed run",
        head,
        Outcome.INCONCLUSIVE,
        f"as they are numbered the two sides share {view.dependence} of their ups and downs; with the candidate's "
        f"iterations moved by {shift:+d} they fit"
        + (": one log may count from 0 and the other from 1" if small else ": it may go on from a checkpoint"),
        "number both logs alike, and compare again",
    )


def _best_shift(reference: Series, candidate: Series) -> int | None:
    """By how much the candidate's numbers have to be moved to fit the reference's; None where nothing fits."""
    steps = {int(step) for one in (reference, candidate) for step in np.unique(np.diff(one.iterations))}
    step = min(steps, default=0)
    if not step or max(len(reference), len(candidate)) > 20_000:
        return None
    gap = int(reference.iterations[0] - candidate.iterations[0])
    near = {-1, 1, -step, step, gap}
    far = range(-min(len(candidate), 2000) * step, min(len(reference), 2000) * step + 1, step)
    scores: dict[int, float] = {}
    for shift in sorted(near | {gap + one for one in far}):
        both = join(reference, Series(candidate.iterations + shift, candidate.values))
        if shift and len(both) >= MINIMUM_ITERATIONS:
            scores[shift] = float(np.median(np.abs(relative_deviation(both.reference, both.candidate))))
    for shift in sorted(scores, key=lambda one: (scores[one], abs(one)))[:3]:
        moved = join(reference, Series(candidate.iterations + shift, candidate.values))
        if measure_dependence(moved.reference, moved.candidate).data is Data.SAME:
            return shift
    return None


def begins_late(view: View) -> Situation | None:
    """The candidate's first iteration is well after the reference's."""
    firsts = [int(log.iterations[0]) for log in (view.reference, view.candidate)]
    before = int(np.sum(view.pair.only_reference < firsts[1]))
    if firsts[1] <= firsts[0] or before < 2 or before < 0.05 * len(view.reference):
        return None
    return Situation(
        "resumed run",
        f"resumed run: the candidate begins at {view.unit} {firsts[1]}, the reference at {firsts[0]}",
        Outcome.INCONCLUSIVE,
        f"the candidate lacks the first {before} records of the reference's {len(view.reference)}: it goes on from a "
        "checkpoint, and what was done before it isn't in this log",
        "give the candidate's log from its first iteration on, or the logs of both parts joined",
        firsts[1],
    )
