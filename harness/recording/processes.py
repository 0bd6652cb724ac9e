"""What several processes saw, told to the one that records: a trace of one rank alone would hide the others."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from harness.recording.local_gradients import LocalGradients
from harness.rules.rank_agreement import RankRow
from harness.rules.rank_gradients import weigh_mean

__all__ = ["HostGroup", "parameters_digest"]


@dataclass(frozen=True)
class HostGroup:
    """The processes of a run, talking over the host, whatever backend the device has.

    Args:
        group: a gloo group of all of them.
        size: how many there are.
    """

    group: Any
    size: int

    @classmethod
    def join(cls) -> HostGroup | None:
        """The group of this run; None where the run is one process. Every process calls it at the same time."""
        if not dist.is_initialized() or dist.get_world_size() == 1:
            return None
        return cls(dist.new_group(backend="gloo"), dist.get_world_size())

    def gather(self, mine: Any) -> list[Any]:
        """What every process brings, in the order of the ranks."""
        everyone: list[Any] = [None] * self.size
        dist.all_gather_object(everyone, mine, group=self.group)
        return everyone

    def share(
        self, losses: Mapping[str, torch.Tensor], digest: str, parameters: str
    ) -> tuple[dict[str, torch.Tensor], str, RankRow]:
        """Losses averaged over the processes, one digest of all their batches, and what each of them brought.

        A component that some processes lack in this iteration is averaged over those that have it. Ranks come in their
        order; the row has yet no iteration of its own.
        """
        values = {name: float(value.detach()) for name, value in losses.items()}
        everyone = self.gather((values, digest, parameters))
        told: dict[str, list[float]] = {}
        for theirs, *_ in everyone:
            for name, value in theirs.items():
                told.setdefault(name, []).append(value)
        averaged = {  # in float64, on the host: a device would round the average once more
            name: torch.tensor(_sum(values) / len(values), dtype=torch.float64) for name, values in told.items()
        }
        digests = tuple(each[1] for each in everyone)
        joined = hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()
        held = tuple(each[2] for each in everyone)
        row = RankRow(0, tuple(each[0].get("loss", math.nan) for each in everyone), digests, held if all(held) else ())
        return averaged, joined, row

    def share_gradients(self, mine: LocalGradients, row: RankRow) -> RankRow:
        """The row, with what each process's own gradients were, and whether what came back is their mean.

        Args:
            mine: this process's gradients of the iteration.
            row: of the iteration.
        """
        ranks = self.gather(mine.taken())
        return dataclasses.replace(
            row, gradients=tuple(each.norm for each in ranks), mean=weigh_mean(ranks, mine.names)
        )


def parameters_digest(model: torch.nn.Module) -> str:
    """BLAKE2b of the bits of every parameter, in their order; each is copied to the host."""
    digest = hashlib.blake2b(digest_size=16)
    for parameter in model.parameters():
        copied = parameter.detach().to("cpu", copy=True)  # what NumPy has seen the program can't resize any more
        digest.update(copied.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _sum(values: Sequence[float]) -> float:
    """Exactly rounded, where they are finite; ``math.fsum`` refuses infinities of both signs and a sum past range."""
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
