"""Whether an iteration drew from the device's own generator: what it drew there the reference can't have drawn."""

from __future__ import annotations

import torch

from harness.devices.device_registry import type_of_kind
from harness.values.trace import DEVICE_DRAWS, HOST_DRAWS

__all__ = ["DeviceDraws", "next_host_draw"]

_BESIDE = torch.Generator()
"""Takes the state of the host's generator, to draw what that would: to make one costs more than to draw."""


class DeviceDraws:
    """Watches the state of a device's generator.

    Data, augmentation and dropout masks are drawn on the host, equal on every device. What a model draws elsewhere, for
    example dropout inside fused attention, is the device's own, and makes a run another experiment.

    Args:
        kind: of the device: ``cuda``, ``sdaa``; of the ``cpu`` nothing is watched, its generator is the host's, nor of
            a device whose generator's state moves without a draw.
    """

    def __init__(self, kind: str) -> None:
        self._device = type_of_kind(kind)
        self._before: torch.Tensor | None = None

    def before(self) -> None:
        """Remember the generator's state."""
        state = self._device.generator_state() if self._device.draws_move_state else None
        self._before = None if state is None else state.clone()

    def signal(self) -> dict[str, float]:
        """``DEVICE_DRAWS``, of what was drawn since ``before``; nothing where the device doesn't tell."""
        after = None if self._before is None else self._device.generator_state()
        if self._before is None or after is None:
            return {}
        return {DEVICE_DRAWS: float(not torch.equal(self._before, after))}


def next_host_draw() -> dict[str, float]:
    """``HOST_DRAWS``: what the host's generator would draw next, without drawing it.

    An iteration begins at a seed, so that two runs that drew as much on the host are at the same place. One that drew
    its masks elsewhere (a compiler with a generator of its own, a device that doesn't tell) is at another.
    """
    _BESIDE.set_state(torch.default_generator.get_state())
    return {HOST_DRAWS: float(torch.rand((), dtype=torch.float64, generator=_BESIDE))}
