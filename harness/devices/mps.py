"""Apple's GPUs."""

from __future__ import annotations

from typing import Any

from harness.devices.device_type import DeviceType

__all__ = ["Mps"]


class Mps(DeviceType):
    """The GPU of an Apple chip, by Metal Performance Shaders. It has no float64, and one process is all there can be.

    Sources: https://docs.pytorch.org/docs/stable/notes/mps.html, https://docs.pytorch.org/docs/stable/mps.html,
    https://docs.pytorch.org/docs/stable/mps_environment_variables.html (fast math, fallback to the host).
    """

    name = "mps"
    maker = "Apple"
    variables = ("PYTORCH_MPS_", "PYTORCH_ENABLE_MPS_FALLBACK")
    synchronizes_norms = False

    def is_available(self) -> bool:
        """What torch was built with, and what the system has."""
        import torch

        return torch.backends.mps.is_available()

    @property
    def module(self) -> Any:
        """``torch.mps``, where there is such a GPU: elsewhere its functions raise."""
        import torch

        return torch.mps if torch.backends.mps.is_available() else None

    def count(self) -> int:
        """There is one."""
        return 1

    def select(self, index: int) -> None:
        """Nothing to choose; another than the one is refused."""
        if index:
            super().select(index)

    def hardware(self) -> str:
        """The chip isn't told by torch."""
        return "Apple GPU"

    def peak_memory(self) -> float | None:
        """What the driver holds now: the most isn't counted."""
        return float(self.module.driver_allocated_memory())
