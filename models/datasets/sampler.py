"""The order in which a run sees its samples, and the name of each sample's randomness."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import final

from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from models.datasets.draws import Draws

__all__ = ["Ticket", "TicketSampler"]


@final
@dataclass(frozen=True)
class Ticket:
    """Which sample is asked for, and which draws its augmentation takes.

    Attributes:
        index: the sample's place in the data set.
        position: how many samples the whole run, all ranks together, asked for before this one.
        seed: the run's seed.
    """

    index: int
    position: int
    seed: int


@DATA_SAMPLERS.register_module()
class TicketSampler(Sampler[Ticket]):
    """An endless order of tickets: epoch after epoch, each shuffled anew, rank r of n taking every n-th.

    The augmentation of a ticket depends on its seed and position alone. So a batch doesn't depend on how many loader
    workers there are, on what else draws random numbers, on the machine, or on the versions of torch and numpy; and
    two ranks with two images each see together what one rank with four images sees.

    In a config: `sampler=dict(type="TicketSampler", shuffle=True)`; mmengine's Runner adds the data set and the seed.

    Args:
        dataset: anything with a length.
        shuffle: False keeps the data set's own order, again and again.
        seed: None asks mmengine for one that all ranks share.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = int(sync_random_seed()) if seed is None else seed
        self.rank, self.world_size = get_dist_info()

    def __iter__(self) -> Iterator[Ticket]:
        """Yield this rank's tickets, for ever."""
        size = len(self.dataset)
        for position, index in enumerate(self._order(size)):
            if position % self.world_size == self.rank:
                yield Ticket(index, position, self.seed)

    def __len__(self) -> int:
        """The length of the data set: what mmengine counts as an epoch, as in its own InfiniteSampler."""
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the order has no end, and so no epoch to set."""

    def _order(self, size: int) -> Iterator[int]:
        epoch = 0
        while True:
            yield from Draws("order", self.seed, epoch).shuffled(size) if self.shuffle else range(size)
            epoch += 1
