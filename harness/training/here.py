"""The device that a loop runs on that was not started by us."""

from __future__ import annotations

from datetime import datetime, timezone

from harness.devices.registry import find_device_type, remember_opened, type_of_kind
from harness.emulation import installed_device
from harness.values.provenance import Device

__all__ = ["device_here", "now"]


def device_here(kind: str, *, exactly: bool = False) -> Device:
    """What a torch device type is in this process, as its user opened it.

    Args:
        kind: ``cuda``, ``sdaa``, …
        exactly: whether a reference is recorded: then the device's own shortcuts in precision are switched off.
    """
    emulated = installed_device()
    if emulated is not None and kind == "sdaa":
        remember_opened(find_device_type("emulated"))
    device_type = type_of_kind(kind)
    if exactly:
        device_type.compute_exactly()
    return Device(
        kind=kind,
        name=device_type.hardware(),
        emulated=device_type.emulated,
        profile=emulated.profile.name if emulated is not None and device_type.emulated else "",
        fault=", ".join(fault.name for fault in emulated.faults) if emulated is not None else "",
        build=device_type.build(),
    )


def now() -> str:
    """UTC time, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
