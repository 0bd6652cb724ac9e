"""The emulated accelerator: an `sdaa` device in pure Python, its numerics, and faults on demand.

`install` puts the device into this process; importing this package doesn't, and doesn't import torch either, so that
profiles and faults can be listed at no cost.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from harness.emulation.clock import current_iteration, set_iteration
from harness.emulation.faults import FAULTS, Fault, parse_fault
from harness.emulation.profiles import PROFILES, Profile, get_profile

if TYPE_CHECKING:
    from harness.emulation.device import Device
    from harness.emulation.healthy import HealthyNoise
    from harness.emulation.installation import describe, install, installed_device

__all__ = [
    "FAULTS",
    "PROFILES",
    "Device",
    "Fault",
    "HealthyNoise",
    "Profile",
    "current_iteration",
    "describe",
    "get_profile",
    "install",
    "installed_device",
    "parse_fault",
    "set_iteration",
]

# Imported at first use: these need torch.
_NEEDS_TORCH = {
    "Device": "device",
    "HealthyNoise": "healthy",
    **dict.fromkeys(("describe", "install", "installed_device"), "installation"),
}


def __getattr__(name: str) -> Any:
    if name in _NEEDS_TORCH:
        return getattr(importlib.import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
