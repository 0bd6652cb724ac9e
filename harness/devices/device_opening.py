"""Opening a device in the process that is to run on it, before torch is used there."""

from __future__ import annotations

from collections.abc import Sequence

from harness.devices.choice import DeviceChoice
from harness.devices.device_registry import remember_opened
from harness.devices.fault_registry import Fault
from harness.values.provenance import Device

__all__ = ["open_device"]


def open_device(
    choice: DeviceChoice, profile: str = "", faults: Sequence[Fault] = (), *, trusted: bool = False
) -> Device:
    """Make ``torch.device(choice.kind)`` usable in this process, and say what it is.

    Args:
        choice: the device.
        profile: numerics profile of the emulated device; the device's own where empty.
        faults: to put in; only the emulated device takes those of kernels.
        trusted: whether a reference is recorded: then what the device would round by itself is switched off, so that
            a precision tier is what its name says.

    Raises:
        DeviceError: the device can't be opened here, or can't take a fault.
    """
    device_type = choice.type
    profile = device_type.install(profile, faults)
    told = device_type.load()
    remember_opened(device_type)
    if choice.index is not None:
        device_type.select(choice.index)
    if trusted:
        device_type.compute_exactly()
    return Device(
        kind=device_type.kind,
        name=device_type.hardware(),
        emulated=device_type.emulated,
        profile=profile,
        fault=", ".join(str(getattr(fault, "label", fault.name)) for fault in faults),
        build={**told, **device_type.build()},
    )
