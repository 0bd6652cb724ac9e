"""A loss that is zero, frozen, or falls far less than the reference's: nothing, or little, is learned."""

from __future__ import annotations

import math

import numpy as np

from harness.pairs.deviation import is_logarithmic
from harness.pairs.situation import Situation
from harness.pairs.views import View
from harness.rules.bounded import percent
from harness.rules.relative import from_logarithm
from harness.values.verdict import Outcome

__all__ = ["frozen", "zero"]


def zero(view: View) -> Situation | None:
    """The candidate's loss is exactly 0 to the end."""
    pair = view.pair
    zeros = (pair.candidate == 0) & (pair.reference != 0)
    if not zeros.any() or not zeros[-1]:
        return None
    last = np.flatnonzero(~zeros)
    at = int(last[-1]) + 1 if len(last) else 0
    count = len(pair) - at
    if count < 2:
        return None
    first = int(pair.iterations[at])
    return Situation(
        "zero",
        f"zero: the candidate's loss is exactly 0 from {view.unit} {first} on",
        Outcome.FAIL,
        f"the candidate's loss is exactly 0 at the last {count} of {len(pair)} common iterations; the reference's is "
        f"{pair.reference[at]:.6g} at the first of them",
        "look at the logits and labels of that step: an overflow that becomes 0, or every label ignored",
        first,
        observed=-1.0,
    )


def frozen(view: View) -> Situation | None:
    """The candidate's loss never changes to the end, or doesn't fall where the reference's does."""
    pair = view.pair
    if not view.finite or len(pair) < 10:
        return None
    still = np.diff(pair.candidate) == 0
    moved = np.flatnonzero(~still)
    at = int(moved[-1]) + 1 if len(moved) else 0
    count = len(pair) - at
    if count >= max(10, len(pair) // 5) and len(np.unique(pair.reference[at:])) > count // 2:
        first = int(pair.iterations[at])
        return Situation(
            "frozen",
            f"frozen: the candidate's loss never changes from {view.unit} {first} on",
            Outcome.FAIL,
            f"the candidate prints {pair.candidate[-1]:.6g} at each of the last {count} common iterations, where the "
            "reference's loss goes on changing",
            "check that the optimizer steps, that gradients reach the parameters, and that batches change",
            first,
        )
    return _learns_nothing(view)


def _learns_nothing(view: View) -> Situation | None:
    """A loss that doesn't fall, where the reference's does by far more than its scatter."""
    pair = view.pair
    if not is_logarithmic(pair.reference, pair.candidate):
        return None
    part = max(len(pair) // 5, 2)
    falls, errors = [], []
    for side in (pair.reference, pair.candidate):
        logs = np.log(np.maximum(side, np.finfo(float).tiny))
        scatter = float(np.diff(logs).std() / math.sqrt(2))
        falls.append(float(logs[:part].mean() - logs[-part:].mean()))
        errors.append(scatter * math.sqrt(2 / part))
    alike = abs(math.log(max(pair.candidate[0], 1e-300) / max(pair.reference[0], 1e-300))) <= 0.05
    surely = falls[0] > 0.2 and falls[0] - falls[1] > 5 * math.hypot(*errors)
    if not (alike and surely and falls[1] < 0.5 * falls[0]) or view.contradicted:
        return None
    nothing = abs(falls[1]) < max(0.1 * falls[0], 2 * errors[1])
    ends = f"{pair.reference[-part:].mean():.4g} and {pair.candidate[-part:].mean():.4g}"
    head = "the candidate doesn't learn: its loss stays" if nothing else "the candidate learns less: its loss falls"
    return Situation(
        "frozen" if nothing else "learns less",
        f"{head} {'near ' if nothing else 'to '}{pair.candidate[-part:].mean():.3g}, the reference's falls to "
        f"{pair.reference[-part:].mean():.3g}",
        Outcome.FAIL if view.unit == "iteration" or falls[1] < 0.5 * falls[0] else Outcome.INCONCLUSIVE,
        f"both begin within 5 % of each other, and end at {ends} (reference and "
        f"candidate, mean of the last {part}): the "
        f"reference's loss falls by {percent(-from_logarithm(-falls[0]))}, the candidate's by "
        f"{percent(-from_logarithm(-falls[1]))}",
        "check that the optimizer steps, the learning rate and its schedule, and that gradients are not zero",
        int(pair.iterations[-1]),
        observed=view.relative(float(view.deviation[-part:].mean())),
    )
