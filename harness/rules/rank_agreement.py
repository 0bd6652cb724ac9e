"""Whether the processes of one run did what processes of one training do: equal weights, data of their own.

After the all-reduce every rank makes the same step from the same weights, so their parameters are equal to the bit; a
rank whose all-reduce was left out, or whose optimizer differs, parts from the others. Each rank has a share of the
data: two that train on the same batches, iteration by iteration, were given the same share. What the all-reduce brings
back is the mean of what the ranks brought (``rank_gradients``).

Whether a rank's own gradients are what they must be, before the all-reduce, is no question that the other ranks answer:
they train on other batches. The baseline's ranks do, whose norms are kept beside the state (``rank_signal``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.rules.bounded import percent
from harness.rules.rank_gradients import GradientMean
from harness.values.bounds import Count
from harness.values.verdict import Finding, Outcome

__all__ = ["OF_RANKS", "RULE", "RankRow", "judge_ranks", "rank_signal"]

RULE = "ranks"

OF_RANKS = "gradient/"
"""Prefix of what a rank's own gradients are called among the tensors of the training state."""

_AS_IT_MUST = 1e-6
"""How far a factor may be from 1 to be told as 1: who is off is told, and the others' rounding isn't."""


@dataclass(frozen=True)
class RankRow:
    """One iteration on all ranks, in their order.

    Args:
        iteration: its number.
        losses: (R,) of each rank, before it is averaged.
        batches: R digests of the batches.
        parameters: R digests of all parameters behind the step; empty where they weren't taken.
        gradients: (R,) norms of each rank's gradients before the all-reduce; empty where they weren't taken.
        mean: what came back from the all-reduce, beside what was brought; None where none was seen.
    """

    iteration: Count
    losses: tuple[float, ...]
    batches: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    gradients: tuple[float, ...] = ()
    mean: GradientMean | None = None


def rank_signal(rank: int) -> str:
    """What the norm of a rank's own gradients is called among the tensors of the training state."""
    return f"{OF_RANKS}rank {rank}"


def judge_ranks(rows: Sequence[RankRow]) -> list[Finding]:
    """Findings about ranks that differ from what they must be; one that passes where none does.

    Args:
        rows: of a run of two or more processes; nothing is found without one.
    """
    if not rows:
        return []
    findings = [*_gradients(rows), *_parameters(rows), *_batches(rows), *_losses(rows)]
    if findings:
        return findings
    count, held = len(rows[0].losses), sum(bool(row.parameters) for row in rows)
    told = f"{count} ranks hold the same parameters to the bit at {held} iterations, and train on batches of their own"
    if means := sum(row.mean is not None for row in rows):
        told += f"; their gradients' mean is what came back from the all-reduce at {means}"
    return [Finding(RULE, Outcome.PASS, "*", told)]


def _gradients(rows: Sequence[RankRow]) -> list[Finding]:
    """The first iteration at which a rank's gradients aren't finite alone, or what came back isn't the ranks' mean."""
    for row in rows:
        odd = [rank for rank, norm in enumerate(row.gradients) if not math.isfinite(norm)]
        if odd and len(odd) < len(row.gradients):
            message = f"the gradients of {_named(odd)} aren't finite before the all-reduce at iteration {row.iteration}"
            return [Finding(RULE, Outcome.FAIL, "gradients", f"{message}, where the others' are", row.iteration)]
        if row.mean is not None and (row.mean.excess > 1 or row.mean.odd):
            message = f"{_wrong_mean(row.mean, len(row.losses))} at iteration {row.iteration}"
            return [Finding(RULE, Outcome.FAIL, "gradients", message, row.iteration, row.mean.error)]
    return []


def _wrong_mean(mean: GradientMean, count: int) -> str:
    """What the all-reduce did, in a sentence without its iteration."""
    if mean.odd:
        whole = len(mean.odd) == count
        others = "each another mean" if whole else "another mean of the gradients than the other ranks"
        who = _named(mean.odd)
        return f"{who} got {others}{' of the gradients' if whole else ''} back from the all-reduce"
    off = [rank for rank, factor in enumerate(mean.factors) if abs(factor - 1) > _AS_IT_MUST]
    if len(off) == 1:
        factor = mean.factors[off[0]]
        times = "don't arrive" if abs(factor) <= _AS_IT_MUST else f"arrive {factor:.7g} times"
        return f"the gradients of rank {off[0]} {times} in the mean that came back from the all-reduce"
    if off:
        told = ", ".join(f"{mean.factors[rank]:.7g}" for rank in off)
        return f"the gradients of {_named(off)} arrive {told} times in the mean that came back from the all-reduce"
    error = f"{mean.parameter} is {percent(abs(mean.error))} off"
    return f"what came back from the all-reduce isn't the mean of the ranks' gradients: {error}, beyond rounding,"


def _parameters(rows: Sequence[RankRow]) -> list[Finding]:
    """The first iteration behind which ranks hold other parameters than most do."""
    for row in rows:
        if len(set(row.parameters)) < 2:
            continue
        most, times = Counter(row.parameters).most_common(1)[0]
        odd = [rank for rank, digest in enumerate(row.parameters) if digest != most]
        # Without a majority nobody can say whose parameters are the right ones.
        if 2 * times <= len(row.parameters):
            who = f"ranks {', '.join(map(str, range(len(row.parameters))))} hold different parameters"
        else:
            who = f"{_ranks(odd)} other parameters than the other ranks"
        return [Finding(RULE, Outcome.FAIL, "parameters", f"{who} after iteration {row.iteration}", row.iteration)]
    return []


def _batches(rows: Sequence[RankRow]) -> list[Finding]:
    """Ranks that see the same batches at every iteration; once can be chance, where the data are few."""
    if len(rows) < 2:
        return []
    ranks = range(len(rows[0].batches))
    same = [
        (one, other)
        for one, other in combinations(ranks, 2)
        if all(row.batches[one] and row.batches[one] == row.batches[other] for row in rows)
    ]
    return [
        Finding(RULE, Outcome.FAIL, "batches", f"rank {other} trains on rank {one}'s batches, at every iteration", 0)
        for one, other in same[:1]
    ]


def _losses(rows: Sequence[RankRow]) -> list[Finding]:
    """A rank whose loss isn't finite where the others' is: the average hides whose it was."""
    for row in rows:
        odd = [rank for rank, loss in enumerate(row.losses) if not math.isfinite(loss)]
        if odd and len(odd) < len(row.losses):
            message = f"the loss of {_named(odd)} isn't finite at iteration {row.iteration}, where the others' is"
            return [Finding(RULE, Outcome.FAIL, "loss", message, row.iteration)]
    return []


def _ranks(ranks: Sequence[int]) -> str:
    return f"{_named(ranks)} {'holds' if len(ranks) == 1 else 'hold'}"


def _named(ranks: Sequence[int]) -> str:
    return f"{'rank' if len(ranks) == 1 else 'ranks'} {', '.join(map(str, ranks))}"
