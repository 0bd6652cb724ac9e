"""The device's own stream of random numbers, apart from the host's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from harness.values.errors import DeviceError

__all__ = ["RandomStream"]


class RandomStream:
    """A Mersenne Twister state that is lent to the host's generator while an operation of the device draws.

    Seeded as the host's generator is, it yields the host's draws: a device without numerics of its own drops out the
    same pixels as the CPU after the same `manual_seed`.
    """

    def __init__(self) -> None:
        generator = torch.Generator()
        self.initial_seed = generator.initial_seed()
        self._state = generator.get_state()

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
        """Begin again from `seed`, as `torch.Generator.manual_seed` does.

        Raises:
            DeviceError: it is no integer of 64 bits.
        """
        try:
            generator = torch.Generator().manual_seed(int(seed))
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise DeviceError(
                "the random stream can't be seeded with that",
                where="torch.sdaa.manual_seed",
                observed=repr(seed),
                allowed="an integer of 64 bits",
            ) from error
        self.initial_seed = generator.initial_seed()
        self._state = generator.get_state()

    @property
    def state(self) -> torch.Tensor:
        """A copy of the state: uint8, 5056 elements."""
        return self._state.clone()

    @state.setter
    def state(self, state: torch.Tensor) -> None:
        try:
            self._state = torch.Generator().set_state(state.cpu()).get_state()
        except (AttributeError, TypeError, RuntimeError) as error:
            raise DeviceError(
                "that is no state of the random stream",
                where="torch.sdaa.set_rng_state",
                observed=f"{type(state).__name__} of shape {tuple(getattr(state, 'shape', ()))}",
                allowed=f"what get_rng_state gave: uint8, {self._state.numel()} elements",
            ) from error
