"""One side is the other times a number: another unit, or a loss that is computed otherwise."""

from __future__ import annotations

import math

import numpy as np

from harness.pairs.growth import COARSEST_ROUNDING
from harness.pairs.situation import Situation
from harness.pairs.views import View
from harness.rules.bounded import percent
from harness.rules.dependence import MINIMUM_ITERATIONS
from harness.values.verdict import Outcome

__all__ = ["constant_factor"]

_FACTORS = {
    **{float(n): f"× {n}" for n in (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 100, 128, 256, 512, 1000, 1024)},
    **{1 / n: f"÷ {n}" for n in (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 100, 128, 256, 512, 1000, 1024)},
    math.log(2): "ln 2",
    1 / math.log(2): "1 / ln 2",
    math.log(10): "ln 10",
    1 / math.log(10): "1 / ln 10",
}
_LOGARITHMS = ("ln 2", "1 / ln 2", "ln 10", "1 / ln 10")


def constant_factor(view: View) -> Situation | None:
    """The same curve times a number, from the first iteration on."""
    pair = view.pair
    if not view.finite or len(pair) < 5 or np.any(pair.reference <= 0) or np.any(pair.candidate <= 0):
        return None
    deviation = view.deviation
    center, scatter = float(np.median(deviation)), float(deviation.std())
    known = min(_FACTORS, key=lambda factor: abs(center - math.log(factor)))
    error = max(3 * scatter / math.sqrt(len(pair)), view.resolution, 1e-3)
    alike = scatter <= max(abs(center) / 10, 2 * view.resolution) and abs(deviation[0] - center) <= 5 * max(
        scatter, view.resolution, 1e-6
    )
    if abs(center) < COARSEST_ROUNDING + 3 * scatter / math.sqrt(len(pair)) or not alike:
        return None
    if len(pair) >= MINIMUM_ITERATIONS and not view.same_data:
        return None
    changes = np.ptp(np.log(pair.reference))
    if scatter > changes / 10:
        return None  # two curves that hardly move are always a factor apart
    factor = math.exp(center)
    if abs(center - math.log(known)) <= error:
        why = (
            "another base of the logarithm?" if _FACTORS[known] in _LOGARITHMS else "gradient accumulation, world size?"
        )
        return Situation(
            "constant factor",
            f"constant factor {_FACTORS[known]} at every iteration: {why}",
            Outcome.INCONCLUSIVE,
            f"the candidate's loss is {factor:.5g} times the reference's at each of "
            f"{len(pair)} common iterations, with a "
            f"scatter of {percent(scatter)}: the same training, printed in another unit",
            "divide one side by it, or log the same mean on both sides, and compare again",
            int(pair.iterations[0]),
            observed=factor - 1,
        )
    return Situation(
        "constant factor",
        f"constant factor {factor:.4g}: the candidate's loss is off by {percent(factor - 1)} throughout",
        Outcome.FAIL if view.numbered else Outcome.INCONCLUSIVE,
        f"the candidate's loss is {factor:.5g} times the reference's at each of "
        f"{len(pair)} common iterations, from the "
        f"first one on, with a scatter of {percent(scatter)}: the weights move alike, and "
        f"the loss is computed otherwise",
        "compare the loss of one batch by hand: reduction, ignored labels, weights of classes and of heads",
        int(pair.iterations[0]),
        observed=factor - 1,
        allowed=COARSEST_ROUNDING,
    )
