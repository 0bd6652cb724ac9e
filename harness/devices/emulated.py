"""The emulated accelerator, as one device among others."""

from __future__ import annotations

import importlib.util
from importlib import metadata

from harness.devices.sdaa import Sdaa

__all__ = ["Emulated"]

_OLDEST_TORCH = (2, 13)


class Emulated(Sdaa):
    """An ``sdaa`` in pure Python on the host's processor; see ``harness.emulation``, which puts it into the process."""

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

    def load(self) -> dict[str, str]:
        """Nothing: opening installs it with its profile and faults."""
        return {}

    def hardware(self) -> str:
        """Says that it is none."""
        return "emulated SDAA (CPU)"

    def build(self) -> dict[str, str]:
        """The vendor's table, every value of which says that it is emulated."""
        from harness import emulation

        return emulation.describe()
