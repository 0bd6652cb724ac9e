"""Whether an iteration drew from the device's own generator: what it drew there the reference can't have drawn."""

from __future__ import annotations

from collections.abc import Callable

import torch

from harness.values.trace import DEVICE_DRAWS

__all__ = ["DeviceDraws"]


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
        """``DEVICE_DRAWS``, of what was drawn since ``before``; nothing where the device doesn't tell."""
        if self._state is None or self._before is None:
            return {}
        return {DEVICE_DRAWS: float(not torch.equal(self._before, self._state()))}
