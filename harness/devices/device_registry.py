"""Every type of device that is known: the built-in ones, and those that installed packages bring.

The emulated device is brought by this project's own package, as any other package brings one: nothing that serves a
port imports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import metadata

from harness.devices.cpu import Cpu
from harness.devices.cuda import Cuda
from harness.devices.device_type import DeviceType
from harness.devices.hpu import Hpu
from harness.devices.mlu import Mlu
from harness.devices.mps import Mps
from harness.devices.musa import Musa
from harness.devices.npu import Npu
from harness.devices.sdaa import Sdaa
from harness.devices.xla import Xla, XlaEager
from harness.devices.xpu import Xpu
from harness.values.errors import DeviceError

__all__ = ["ENTRY_POINTS", "device_names", "find_device_type", "known_device_types", "remember_opened", "type_of_kind"]

ENTRY_POINTS = "alignment_harness.devices"
"""The group of entry points under which a package names its devices: ``name = "module:Class"``."""

_BUILT_IN: tuple[type[DeviceType], ...] = (Cpu, Cuda, Sdaa, Xla, XlaEager, Npu, Mlu, Musa, Xpu, Hpu, Mps)


def device_names() -> tuple[str, ...]:
    """What ``--device`` may be; of installed packages the names alone, nothing of theirs is imported."""
    return (*(device.name for device in _BUILT_IN), *_entry_points())


_opened: dict[str, DeviceType] = {}


@cache
def find_device_type(name: str) -> DeviceType:
    """The type of device of a name.

    Raises:
        DeviceError: there is none, or the package that brings it can't be used.
    """
    for device in _BUILT_IN:
        if device.name == name:
            return device()
    points = _entry_points()
    if name not in points:
        raise DeviceError(f"unknown device {name!r}", allowed=", ".join(device_names()), hint="align doctor")
    return _loaded(points[name])


def known_device_types() -> Iterator[DeviceType]:
    """All of them, the built-in ones first; without those whose package can't be used, which `align doctor` names."""
    for name in device_names():
        with suppress(DeviceError):
            yield find_device_type(name)


def type_of_kind(kind: str) -> DeviceType:
    """The type of device that torch calls ``kind``: its habits hold for every tensor of that kind.

    Of several that share a kind it is the one that this process opened, else the first. A kind that nobody registered
    has the defaults.
    """
    return _opened.get(kind) or _first_of_kind(kind)


def remember_opened(device_type: DeviceType) -> None:
    """From now on the tensors of its kind are this device's: a process opens one device of a kind."""
    _opened[device_type.kind] = device_type


@cache
def _first_of_kind(kind: str) -> DeviceType:
    for device_type in known_device_types():
        if device_type.kind == kind:
            return device_type
    unregistered: DeviceType = type("Unregistered", (DeviceType,), {"name": kind})()
    return unregistered


@cache
def _entry_points() -> dict[str, metadata.EntryPoint]:
    """Name → entry point of every installed package that brings devices.

    Raises:
        DeviceError: two packages want the same name, or one wants a built-in's.
    """
    found: dict[str, metadata.EntryPoint] = {}
    built_in = {device.name for device in _BUILT_IN}
    for point in metadata.entry_points(group=ENTRY_POINTS):
        before = found.get(point.name)
        if point.name in built_in or (before is not None and before.value != point.value):
            raise DeviceError(
                "an installed package brings a device of a name that is taken",
                where=f"entry point {ENTRY_POINTS}: {point.name}",
                observed=point.value,
                allowed=f"any name but {', '.join(sorted({*built_in, *found}))}",
                hint=f"pip uninstall {point.dist.name}" if point.dist is not None else None,
            )
        found[point.name] = point
    return found


def _loaded(point: metadata.EntryPoint) -> DeviceType:
    where = f"entry point {ENTRY_POINTS}: {point.name}"
    try:
        made = point.load()
        device_type = made() if isinstance(made, type) else made
    except Exception as failure:  # noqa: BLE001  # another's code: anything can come out of it
        raise DeviceError(
            "a device that an installed package brings can't be loaded",
            where=where,
            observed=f"{type(failure).__name__}: {failure}",
        ) from None
    if not isinstance(device_type, DeviceType) or device_type.name != point.name:
        raise DeviceError(
            "an entry point names no device",
            where=where,
            observed=f"{point.value}, {getattr(device_type, 'name', type(device_type).__name__)!r}",
            allowed=f"a subclass of harness.devices.device_type.DeviceType whose name is {point.name!r}",
        )
    return device_type
