"""Which device a run is asked for, and whether it is to be had here. No torch: asking must be cheap."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from harness.values.errors import DeviceError

__all__ = ["CHOICES", "DeviceChoice", "choose_device"]

CHOICES = ("cpu", "cuda", "sdaa", "emulated")


@dataclass(frozen=True)
class DeviceChoice:
    """A device to run on.

    Args:
        name: what the user calls it: one of CHOICES.
        fallback: whether nobody asked for it: it is taken because there is no accelerator.
    """

    name: str
    fallback: bool = False

    @property
    def kind(self) -> str:
        """The torch device type: the emulated device is an ``sdaa``."""
        return "sdaa" if self.name == "emulated" else self.name

    @property
    def emulated(self) -> bool:
        """Whether it is emulated in software."""
        return self.name == "emulated"


def choose_device(asked: str | None) -> DeviceChoice:
    """The device that was asked for; without a wish ``sdaa`` where torch_sdaa is installed, else ``emulated``.

    Raises:
        DeviceError: the device is unknown, or what it needs is not installed.
    """
    has_sdaa = importlib.util.find_spec("torch_sdaa") is not None
    if asked is None:
        return DeviceChoice("sdaa") if has_sdaa else DeviceChoice("emulated", fallback=True)
    if asked not in CHOICES:
        raise DeviceError(f"unknown device {asked!r}", allowed=", ".join(CHOICES), hint="align doctor")
    if asked == "sdaa" and not has_sdaa:
        raise DeviceError(
            "there is no SDAA device here: torch_sdaa is not installed",
            observed="import torch_sdaa fails",
            hint="use the vendor's container, or --device emulated for the emulated device",
        )
    return DeviceChoice(asked)
