"""What can be found in a pair of logs, one finding a question."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.pairs.deviation import Deviation
from harness.pairs.joining import Pair, common_iterations
from harness.pairs.log import Log, Series
from harness.pairs.views import View
from harness.rules.bounded import percent
from harness.rules.dependence import MINIMUM_ITERATIONS, Data, Dependence
from harness.rules.legacy import LARGEST_MEAN_RELATIVE_ERROR
from harness.values.verdict import Finding, Outcome

__all__ = [
    "find_bias",
    "find_data",
    "find_decisions",
    "find_finiteness",
    "find_missing",
    "find_rank_spread",
    "find_spread",
    "find_start",
]

_TOLERANCE = LARGEST_MEAN_RELATIVE_ERROR
"""The field's own, taken in both directions."""


def find_finiteness(pair: Pair) -> Finding:
    """A NaN or an infinity on the candidate's side fails; on the reference's alone, nothing can be decided."""
    for side, values, outcome in (
        ("candidate", pair.candidate, Outcome.FAIL),
        ("reference", pair.reference, Outcome.INCONCLUSIVE),
    ):
        bad = ~np.isfinite(values)
        if bad.any():
            at = int(np.argmax(bad))
            iteration = int(pair.iterations[at])
            message = (
                f"the {side}'s loss is {values[at]} at iteration {iteration} ({bad.sum()} of {len(pair)} not finite); "
                f"the other side's is {(pair.reference if side == 'candidate' else pair.candidate)[at]:.6g} there"
            )
            return Finding("finiteness", outcome, "loss", message, iteration=iteration, observed=float(values[at]))
    return Finding("finiteness", Outcome.PASS, "loss", f"both losses are finite at all {len(pair)} common iterations")


def find_missing(pair: Pair) -> Finding:
    """Iterations that only one side has: shown, and no PASS where the candidate lacks one."""
    alone = {"reference": pair.only_reference, "candidate": pair.only_candidate}
    if not any(map(len, alone.values())):
        return Finding("join", Outcome.PASS, "loss", f"both sides have the same {len(pair)} iterations")
    parts = [f"only the {side} has {len(found):,} ({_ranges(found)})" for side, found in alone.items() if len(found)]
    message = f"{len(pair)} iterations are common; {'; '.join(parts)}"
    outcome = Outcome.INCONCLUSIVE if len(pair.only_reference) else Outcome.INFO
    return Finding("join", outcome, "loss", message)


def find_start(view: View) -> Finding:
    """Do both sides start alike? Before the first update nothing but rounding separates them."""
    pair = view.pair
    if not view.at_start or not np.isfinite(view.deviation[0]):
        message = f"the first common {view.unit} is {pair.iterations[0]}: the start can't be compared"
        return Finding("start", Outcome.INFO, "loss", message)
    iteration, first = int(pair.iterations[0]), view.first_apart
    message = f"the losses are {percent(first)} apart at iteration {iteration}{view.before_any_update}"
    alike = first <= view.allowed_start
    if view.starts_alike:
        message += ", closer than chance brings them: the same start"
    elif not alike:
        message += f", and the coarsest rounding explains {percent(view.allowed_start)}"
    return Finding(
        "start",
        Outcome.PASS if alike else Outcome.INCONCLUSIVE,
        "loss",
        message,
        iteration,
        observed=first,
        allowed=view.allowed_start,
    )


def find_data(pair: Pair, dependence: Dependence) -> Finding:
    """Did both sides see the same data?"""
    said = f"the changes from iteration to iteration correlate at {dependence}"
    if dependence.data is Data.SAME:
        return Finding("same data", Outcome.PASS, "loss", f"both sides saw the same data: {said}")
    if dependence.data is Data.OTHER:
        message = f"the two sides did not see the same data: {said}"
        return Finding("same data", Outcome.INCONCLUSIVE, "loss", message)
    few = f"; {MINIMUM_ITERATIONS} common iterations are the least" if len(pair) < MINIMUM_ITERATIONS else ""
    message = f"whether both sides saw the same data can't be told: {said}{few}"
    return Finding("same data", Outcome.INCONCLUSIVE, "loss", message)


def find_bias(pair: Pair, deviation: Deviation) -> Finding:
    """Is the candidate's loss off, in either direction, by more than the field's own tolerance?"""
    beyond = deviation.bias_low > _TOLERANCE or deviation.bias_high < -_TOLERANCE
    within = max(abs(deviation.bias_low), abs(deviation.bias_high)) <= _TOLERANCE
    side = "above" if deviation.bias > 0 else "below"
    message = (
        f"the candidate's loss is {percent(abs(deviation.bias))} {side} the reference's on average (95 % interval "
        f"{percent(deviation.bias_low)} … {percent(deviation.bias_high)}; tolerance ±{percent(_TOLERANCE)})"
    )
    outcome = Outcome.FAIL if beyond else Outcome.PASS if within else Outcome.INCONCLUSIVE
    return Finding(
        "bias",
        outcome,
        "loss",
        message,
        observed=deviation.bias,
        allowed=_TOLERANCE,
        smallest_detectable=_TOLERANCE + deviation.detectable,
    )


def find_spread(pair: Pair, deviation: Deviation) -> Finding:
    """How far single iterations are apart."""
    iteration = int(pair.iterations[deviation.largest_at])
    message = (
        f"single iterations scatter by {percent(deviation.spread)} around the bias (95 % interval "
        f"{percent(deviation.spread_low)} … {percent(deviation.spread_high)}), by {percent(deviation.noise)} from one "
        f"to the next; the largest deviation is {percent(deviation.largest)} at iteration {iteration}"
    )
    return Finding("spread", Outcome.INFO, "loss", message, iteration, observed=deviation.largest)


def find_rank_spread(side: str, ranks: Mapping[int, Series]) -> Finding | None:
    """How far the ranks of one log are apart; None where it holds one."""
    if len(ranks) < 2:
        return None
    common = common_iterations(list(ranks.values()))
    if not len(common):
        return Finding("rank spread", Outcome.INFO, side, f"the {side}'s ranks have no iteration in common")
    values = np.stack([one.values[np.searchsorted(one.iterations, common)] for one in ranks.values()])
    with np.errstate(all="ignore"):
        relative = float(np.nanmedian(values.std(axis=0, ddof=1) / np.abs(values.mean(axis=0))))
    message = (
        f"the {side}'s {len(ranks)} ranks differ by {percent(relative)} from each other (median over iterations of the "
        "standard deviation): one rank's loss is known no better than that as the run's"
    )
    return Finding("rank spread", Outcome.INFO, side, message, observed=relative)


def find_decisions(side: str, log: Log) -> list[Finding]:
    """What was read of a log, and what was decided while it was."""
    return [Finding("reading", Outcome.INFO, side, f"{side}: {said}") for said in (log.said, *log.decisions)]


def _ranges(iterations: np.ndarray) -> str:
    breaks = np.flatnonzero(np.diff(iterations) != 1)
    starts, ends = iterations[np.r_[0, breaks + 1]], iterations[np.r_[breaks, len(iterations) - 1]]
    shown = [f"{a}" if a == b else f"{a}–{b}" for a, b in zip(starts[:4], ends[:4], strict=True)]
    return ", ".join(shown) + (", …" if len(starts) > 4 else "")
