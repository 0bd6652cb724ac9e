"""A random sample of a study's faulty runs, for where there is no time for all of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.lab.faults import parse_fault
from harness.lab.power.study_plan import needs

__all__ = ["Sampling", "draw_faults"]


@dataclass(frozen=True)
class Sampling:
    """Which of the faulty runs were drawn.

    Args:
        count: how many.
        of: of how many that the cases and faults make.
        seed: of the draw.
    """

    count: int
    of: int
    seed: int

    def __str__(self) -> str:
        return f"a random sample of {self.count} of {self.of} faulty runs, seed {self.seed}"


def draw_faults(
    cases: Sequence[str], faults: Iterable[str], count: int, seed: int
) -> tuple[Mapping[str, tuple[str, ...]], Sampling]:
    """A stratified random sample of the pairs of a case and a fault.

    Strata are the case, the layer that a fault strikes, and whether it was written blind: each is drawn from in
    proportion. Within a stratum the order is random, and its i-th of n stands at (i + u) / n of the whole, u uniform
    and one for each stratum. So the sample of a smaller count is a part of that of a larger one, and a study can grow.

    Args:
        cases: their names.
        faults: as the command line spells them; those that need more than a study's runs have are left out.
        count: how many pairs; all where there are no more.
        seed: of the draw.

    Returns:
        Case → its faults, in the order of ``faults``; and what was drawn of what.
    """
    able = [fault for fault in faults if not needs(parse_fault(fault))]
    strata: dict[tuple[str, str, bool], list[str]] = {}
    for case in cases:
        for fault in able:
            parsed = parse_fault(fault)
            strata.setdefault((case, parsed.strikes, parsed.blind), []).append(fault)
    draw = random.Random(seed)  # noqa: S311  # a sample, not a secret
    placed = []
    for stratum, members in sorted(strata.items()):
        offset = draw.random()
        shuffled = draw.sample(members, len(members))
        placed += [((rank + offset) / len(members), stratum, fault) for rank, fault in enumerate(shuffled)]
    drawn = {(stratum[0], fault) for _, stratum, fault in sorted(placed)[:count]}
    chosen = {case: tuple(fault for fault in able if (case, fault) in drawn) for case in cases}
    return chosen, Sampling(len(drawn), len(placed), seed)
