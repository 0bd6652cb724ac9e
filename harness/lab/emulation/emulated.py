"""The emulated accelerator, as one device among others."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from harness.devices.sdaa import Sdaa
from harness.lab.emulation.profiles import get_profile

__all__ = ["Emulated"]

_OLDEST_TORCH = (2, 13)


class Emulated(Sdaa):
    """An ``sdaa`` in pure Python on the host's processor, which ``harness.lab.emulation`` installs."""

    name = "emulated"
    kind = "sdaa"
    package = ""
    maker = "this project: tests the harness and the port's code path"
    tried = "it is software"
    emulated = True

    def absence(self) -> str:
        """The emulation needs a recent torch, and the place of the real device's name."""
        if importlib.util.find_spec("torch_sdaa") is not None:
            return "never beside a real torch_sdaa"
        version = metadata.version("torch")
        release = tuple(int(part) for part in version.split("+")[0].split(".")[:2])
        return "" if release >= _OLDEST_TORCH else f"it needs torch 2.13 or later, this is {version}"

    def hint(self) -> str:
        """What runs instead."""
        return "--device cpu, or pip install 'torch>=2.13'"

    def require_profile(self, profile: str) -> None:
        """Refuse a profile that isn't one of the emulation's."""
        get_profile(profile)

    def install(self, profile: str, faults: Sequence[Any]) -> str:
        """Put the device into this process."""
        from harness.lab.emulation.installation import install

        return install(profile or "fp32", faults).profile.name

    def installed(self) -> tuple[str, tuple[str, ...]] | None:
        """What this process's emulated device has."""
        from harness.lab.emulation.installation import installed_device

        device = installed_device()
        return None if device is None else (device.profile.name, tuple(fault.name for fault in device.faults))

    def load(self) -> dict[str, str]:
        """Nothing more than ``install`` did."""
        return {}

    def hardware(self) -> str:
        """Says that it is none."""
        return "emulated SDAA (CPU)"

    def build(self) -> dict[str, str]:
        """The vendor's table, every value of which says that it is emulated."""
        from harness.lab.emulation.installation import describe

        return describe()
