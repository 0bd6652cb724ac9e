"""What several processes saw, told to the one that records: a trace of one rank alone would hide the others."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

__all__ = ["HostGroup"]


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

    def share(self, losses: Mapping[str, torch.Tensor], digest: str) -> tuple[dict[str, torch.Tensor], str]:
        """Losses averaged over the processes, and one digest of all their batches, in the order of the ranks.

        A component that some processes lack in this iteration is averaged over those that have it.
        """
        everyone = self.gather(({name: float(value.detach()) for name, value in losses.items()}, digest))
        told: dict[str, list[float]] = {}
        for values, _ in everyone:
            for name, value in values.items():
                told.setdefault(name, []).append(value)
        averaged = {  # in float64, on the host: a device would round the average once more
            name: torch.tensor(_sum(values) / len(values), dtype=torch.float64) for name, values in told.items()
        }
        joined = "".join(theirs for _, theirs in everyone)
        return averaged, hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()


def _sum(values: Sequence[float]) -> float:
    """Exactly rounded, where they are finite; ``math.fsum`` refuses infinities of both signs and a sum past range."""
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
