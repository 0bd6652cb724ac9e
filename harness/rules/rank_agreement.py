"""Whether the processes of one run did what processes of one training do: equal weights, data of their own.

After the all-reduce every rank makes the same step from the same weights, so their parameters are equal to the bit; a
rank whose all-reduce was left out, or whose optimizer differs, parts from the others. Each rank has a share of the
data: two that train on the same batches, iteration by iteration, were given the same share.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.values.bounds import Count
from harness.values.verdict import Finding, Outcome

__all__ = ["RULE", "RankRow", "judge_ranks"]

RULE = "ranks"


@dataclass(frozen=True)
class RankRow:
    """One iteration on all ranks, in their order.

    Args:
        iteration: its number.
        losses: (R,) of each rank, before it is averaged.
        batches: R digests of the batches.
        parameters: R digests of all parameters behind the step; empty where they weren't taken.
    """

    iteration: Count
    losses: tuple[float, ...]
    batches: tuple[str, ...]
    parameters: tuple[str, ...] = ()


def judge_ranks(rows: Sequence[RankRow]) -> list[Finding]:
    """Findings about ranks that differ from what they must be; one that passes where none does.

    Args:
        rows: of a run of two or more processes; nothing is found without one.
    """
    if not rows:
        return []
    findings = [*_parameters(rows), *_batches(rows), *_losses(rows)]
    if findings:
        return findings
    count, held = len(rows[0].losses), sum(bool(row.parameters) for row in rows)
    told = f"{count} ranks hold the same parameters to the bit at {held} iterations, and train on batches of their own"
    return [Finding(RULE, Outcome.PASS, "*", told)]


def _parameters(rows: Sequence[RankRow]) -> list[Finding]:
    """The first iteration behind which ranks hold other parameters than most do."""
    for row in rows:
        if len(set(row.parameters)) < 2:
            continue
        most, times = Counter(row.parameters).most_common(1)[0]
        odd = [rank for rank, digest in enumerate(row.parameters) if digest != most]
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
            who = f"the loss of {'rank' if len(odd) == 1 else 'ranks'} {', '.join(map(str, odd))} isn't finite"
            message = f"{who} at iteration {row.iteration}, where the others' is"
            return [Finding(RULE, Outcome.FAIL, "loss", message, row.iteration)]
    return []


def _ranks(ranks: Sequence[int]) -> str:
    return f"rank {ranks[0]} holds" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))} hold"
