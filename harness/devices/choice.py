"""Which device a run is asked for, and whether it is available here."""

from __future__ import annotations

from dataclasses import dataclass

from harness.devices.device_registry import find_device_type, known_device_types
from harness.devices.device_type import DeviceType
from harness.values.errors import DeviceError

__all__ = ["DeviceChoice", "choose_device"]


@dataclass(frozen=True)
class DeviceChoice:
    """A device to run on.

    Args:
        name: what ``--device`` calls its type.
        index: which of several cards; the first where None, a launcher's where there are several processes.
        fallback: whether nobody asked for it: it is taken because there is no accelerator.
    """

    name: str
    index: int | None = None
    fallback: bool = False

    @property
    def type(self) -> DeviceType:
        """Its habits."""
        return find_device_type(self.name)

    @property
    def kind(self) -> str:
        """The torch device type: the emulated device is an ``sdaa``."""
        return self.type.kind

    @property
    def emulated(self) -> bool:
        """Whether it is emulated in software."""
        return self.type.emulated

    def __str__(self) -> str:
        """As ``--device`` takes it."""
        return self.name if self.index is None else f"{self.name}:{self.index}"


def choose_device(asked: str | None) -> DeviceChoice:
    """The device that was asked for; without a wish the one accelerator that is here.

    Where there is none it is the emulated one, and where torch is too old for that the machine's own processor.

    Args:
        asked: ``name`` or ``name:index``.

    Raises:
        DeviceError: the device is unknown, isn't here, or nobody says which of several.
    """
    if asked is None:
        return _default()
    name, colon, number = asked.partition(":")
    device_type = find_device_type(name)
    if colon and (device_type.is_host or not (number.isascii() and number.isdecimal())):
        allowed = name if device_type.is_host else f"{name}, {name}:0, {name}:1 …"
        raise DeviceError("there is no such device", where="--device", observed=asked, allowed=allowed)
    if why := device_type.absence():
        raise DeviceError(f"there is no {name} device here: {why}", where="--device", hint=device_type.hint())
    return DeviceChoice(name, int(number) if colon else None)


def _default() -> DeviceChoice:
    here: dict[str, str] = {}  # by what torch calls them: one that opens in two ways is one accelerator
    for device in known_device_types():
        if not device.is_host and not device.emulated and not device.absence():
            here.setdefault(device.kind, device.name)
    names = list(here.values())
    if len(names) > 1:
        raise DeviceError(
            "several kinds of accelerator are here: say which",
            where="--device",
            observed=", ".join(names),
            hint=f"--device {names[0]}",
        )
    if names:
        return DeviceChoice(names[0])
    emulated = (device.name for device in known_device_types() if device.emulated and not device.absence())
    return DeviceChoice(next(emulated, "cpu"), fallback=True)
