"""The device's own stream of random numbers, apart from the host's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["RandomStream"]


class RandomStream:
    """A Mersenne Twister state that is lent to the host's generator while an operation of the device draws.

    Seeded as the host's generator is, it yields the host's draws: a device without numerics of its own drops out the
    same pixels as the CPU after the same `manual_seed`.
    """

    def __init__(self) -> None:
        self._state = torch.Generator().get_state()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Draws inside come from this stream, and the host's stream doesn't move."""
        host_state = torch.get_rng_state()
        torch.set_rng_state(self._state)
        try:
            yield
        finally:
            self._state = torch.get_rng_state()
            torch.set_rng_state(host_state)

    def seed(self, seed: int) -> None:
        """Begin again from `seed`, as `torch.Generator.manual_seed` does."""
        self._state = torch.Generator().manual_seed(seed).get_state()

    @property
    def state(self) -> torch.Tensor:
        """A copy of the state: uint8, 5056 elements."""
        return self._state.clone()

    @state.setter
    def state(self, state: torch.Tensor) -> None:
        self._state = state.clone()
