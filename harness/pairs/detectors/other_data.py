"""Two sides that did not see the same data, or not the same weights at the start."""

from __future__ import annotations

from harness.pairs.situation import Situation
from harness.pairs.views import View
from harness.rules.bounded import percent
from harness.rules.dependence import Data
from harness.values.verdict import Outcome

__all__ = ["other_data", "starts_apart"]


def other_data(view: View) -> Situation | None:
    """Losses that go up and down without each other."""
    if view.dependence.data is not Data.OTHER or view.same_data or view.starts_alike:
        return None
    return Situation(
        "other data",
        f"other data or order: the losses go up and down without each other ({view.dependence.correlation:.2f})",
        Outcome.INCONCLUSIVE,
        f"the two sides did not see the same data: the changes from iteration to "
        f"iteration correlate at {view.dependence}",
        "fix the seed, turn shuffling off or share the order of the data, and compare again",
    )


def starts_apart(view: View) -> Situation | None:
    """Losses that differ at the first iteration of a training by more than rounding."""
    if not view.finite or not view.at_start or view.first_apart <= view.allowed_start or view.starts_alike:
        return None
    first = int(view.pair.iterations[0])
    return Situation(
        "starts apart",
        f"starts apart: the losses are {percent(view.first_apart)} apart at iteration {first}{view.before_any_update}",
        Outcome.INCONCLUSIVE,
        f"at iteration {first}{view.before_any_update} the losses are "
        f"{percent(view.first_apart)} apart, and the coarsest "
        f"rounding explains {percent(view.allowed_start)}: other initial weights, another "
        f"batch or a wrong forward pass",
        "load the same weights on both sides and compare the loss of one batch before any update",
        first,
        observed=view.first_apart,
        allowed=view.allowed_start,
    )
