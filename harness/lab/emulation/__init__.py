"""The emulated accelerator: an `sdaa` device in pure Python, and its numerics.

`install` puts the device into this process; importing this package doesn't, and doesn't import torch either, so that
profiles can be listed at no cost.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from harness.lab.emulation.profiles import PROFILES, Profile, get_profile

if TYPE_CHECKING:
    from harness.lab.emulation.device import EmulatedDevice
    from harness.lab.emulation.installation import describe, install

__all__ = [
    "PROFILES",
    "EmulatedDevice",
    "Profile",
    "describe",
    "get_profile",
    "install",
]

# Imported at first use: these need torch.
_NEEDS_TORCH = {"EmulatedDevice": "device", "describe": "installation", "install": "installation"}


def __getattr__(name: str) -> Any:
    if name in _NEEDS_TORCH:
        return getattr(importlib.import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
