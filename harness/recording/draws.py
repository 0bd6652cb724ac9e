"""Whether an iteration drew from the device's own generator: what it drew there the reference can't have drawn."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["SIGNAL", "DeviceDraws"]

SIGNAL = "device_draws"
"""1 where the iteration drew from the device's generator, else 0; not recorded of a device that doesn't tell."""


class DeviceDraws:
    """Watches the state of a device's generator.

    Data, augmentation and dropout masks are drawn on the host, equal on every device. What a model draws elsewhere, for
    example dropout inside fused attention, is the device's own, and makes a run another experiment.

    Args:
        kind: of the device: ``cuda``, ``sdaa``; of the ``cpu`` nothing is watched, its generator is the host's.
    """

    def __init__(self, kind: str) -> None:
        module = None if kind == "cpu" else getattr(torch, kind, None)
        self._state: Callable[[], torch.Tensor] | None = getattr(module, "get_rng_state", None)
        self._before: torch.Tensor | None = None

    def before(self) -> None:
        """Remember the generator's state."""
        self._before = None if self._state is None else self._state().clone()

    def signal(self) -> dict[str, float]:
        """``SIGNAL``, of what was drawn since ``before``; nothing where the device doesn't tell."""
        if self._state is None or self._before is None:
            return {}
        return {SIGNAL: float(not torch.equal(self._before, self._state()))}
