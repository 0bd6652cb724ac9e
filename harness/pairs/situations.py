"""Which situations two curves show, the likeliest first.

The first line of an answer is the headline of the first detector that applies, in the order of ``_DETECTORS``: what
needs no comparable pair to be true comes first, then what explains a difference away, then what is left to call.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.pairs.detectors.constant_factor import constant_factor
from harness.pairs.detectors.ends_early import ends_early
from harness.pairs.detectors.going_apart import drifts, parts, spike
from harness.pairs.detectors.moved_numbers import begins_late, moved
from harness.pairs.detectors.not_finite import not_finite
from harness.pairs.detectors.other_data import other_data, starts_apart
from harness.pairs.detectors.other_settings import other_settings
from harness.pairs.detectors.same_run import same_run
from harness.pairs.detectors.smoothed import smoothed
from harness.pairs.detectors.standing_still import frozen, zero
from harness.pairs.growth import Persistence, measure_persistence
from harness.pairs.situation import Situation
from harness.pairs.views import View
from harness.values.verdict import Outcome

__all__ = ["find_situations", "persistence_of"]

_DETECTORS: tuple[Callable[[View], Situation | None], ...] = (
    same_run,
    not_finite,
    zero,
    frozen,
    other_settings,
    constant_factor,
    moved,
    smoothed,
    other_data,
    starts_apart,
    drifts,
    spike,
    parts,
    begins_late,
    ends_early,
)
"""Each looks for one thing, and says nothing where it isn't there; in the order in which they count."""

_EXPLAINS = {
    "zero": ("frozen",),
    "constant factor": ("starts apart", "drifts"),
    "smoothed": ("drifts",),
    "offset in numbering": ("other data", "starts apart"),
}
"""Situations that another one already says the cause of: they would contradict it."""


def find_situations(view: View) -> list[Situation]:
    """What a person would see in two curves, the likeliest first.

    Args:
        view: two logs with at least one iteration in common.
    """
    found = [situation for detector in _DETECTORS if (situation := detector(view)) is not None]
    explained = {name for situation in found for name in _EXPLAINS.get(situation.name, ())}
    found = [situation for situation in found if situation.name not in explained]
    if not view.numbered:
        found = [_by_position(situation) for situation in found]
    return found


def _by_position(situation: Situation) -> Situation:
    """The same of logs that print no iterations: what depends on which records are paired decides nothing."""
    if situation.name in ("same run", "not finite", "zero", "frozen"):
        return situation
    return Situation(
        situation.name,
        f"numbered by position: {situation.headline}"[:100],
        Outcome.INCONCLUSIVE if situation.outcome is Outcome.FAIL else situation.outcome,
        f"a log prints no iterations, so that its records were paired by their position; {situation.evidence}",
        "print the iteration beside each loss",
        situation.iteration,
        situation.observed,
        situation.allowed,
    )


def persistence_of(view: View) -> Persistence | None:
    """How far a pair's deviations stay on one side; None where it can't be measured."""
    if not view.finite or len(view.pair) < 5:
        return None
    return measure_persistence(view.deviation, view.resolution)
