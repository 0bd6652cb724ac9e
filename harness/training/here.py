"""The device that a loop runs on that was not started by us."""

from __future__ import annotations

from datetime import datetime, timezone

from harness.devices.device_registry import known_device_types, remember_opened, type_of_kind
from harness.values.provenance import Device

__all__ = ["device_here", "now"]


def device_here(kind: str, *, exactly: bool = False) -> Device:
    """What a torch device type is in this process, as its user opened it.

    Args:
        kind: ``cuda``, ``sdaa``, …
        exactly: whether a reference is recorded: then the device's own shortcuts in precision are switched off.
    """
    profile = ""
    faults: tuple[str, ...] = ()
    for known in known_device_types():
        if known.kind == kind and (installed := known.installed()) is not None:
            profile, faults = installed
            remember_opened(known)
    device_type = type_of_kind(kind)
    if exactly:
        device_type.compute_exactly()
    return Device(
        kind=kind,
        name=device_type.hardware(),
        emulated=device_type.emulated,
        profile=profile,
        fault=", ".join(faults),
        build=device_type.build(),
    )


def now() -> str:
    """UTC time, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
