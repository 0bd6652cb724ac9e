"""Streams and events of a device that has finished whenever a call returns: they keep order, and time, and no more."""

from __future__ import annotations

import time
from typing import Any

import torch

from harness.lab.emulation.card import DEVICE_TYPE, Chip
from harness.values.errors import DeviceError

__all__ = ["DeviceEvent", "Event", "register", "stream_given", "stream_of"]

_Native: Any = torch.Event


def stream_of(chip: Chip) -> torch.Stream:
    """The one stream of that device."""
    device_type = torch._C._autograd.DeviceType.PrivateUse1.value
    return torch.Stream(stream_id=0, device_index=chip.index, device_type=device_type)


class _Kind(type):
    """An event that PyTorch made itself is an instance too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Native)


class Event(_Native, metaclass=_Kind):  # type: ignore[misc]
    """A moment; the surface is `torch.Event`'s, of which the native one can't wait or tell the time here."""

    def __new__(cls, device: Any = None, *, enable_timing: bool = False, **settings: Any) -> Any:
        """An event of `device`, by default of the accelerator; the other settings are PyTorch's."""
        made = _Native.__new__(cls, device, enable_timing=enable_timing, **settings)
        made._times = enable_timing
        made._recorded = None
        return made

    def record(self, stream: torch.Stream | None = None) -> None:
        """Let the event be now."""
        super().record(stream)
        self._recorded = time.perf_counter()

    def synchronize(self) -> None:
        """Wait for what came before: that is done."""

    def elapsed_time(self, other: Event) -> float:
        """Milliseconds from this event to the other.

        Raises:
            DeviceError: one of them wasn't recorded, or keeps no time.
        """
        begin, end = (_moment(event) for event in (self, other))
        if begin is None or end is None:
            raise DeviceError(
                "the time between two events isn't known",
                where="torch.Event.elapsed_time",
                observed="an event that wasn't recorded, or keeps no time",
                allowed="two recorded events, made with enable_timing=True",
            )
        return float(end - begin) * 1000


class DeviceEvent(Event):
    """`Event` of the accelerator, called as `torch.cuda.Event` is; `blocking` and `interprocess` change nothing."""

    def __new__(cls, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> Any:
        """An event that keeps the time where it is asked to."""
        return super().__new__(cls, DEVICE_TYPE, enable_timing=bool(enable_timing))


def stream_given(stream: Any, where: str) -> torch.Stream:
    """The stream that a caller hands over.

    Raises:
        DeviceError: it is none.
    """
    if not isinstance(stream, torch.Stream):
        raise DeviceError("that is no stream", where=where, observed=repr(stream), allowed="a torch.Stream")
    return stream


def _moment(event: Any) -> float | None:
    recorded: float | None = event._recorded if hasattr(event, "_times") and event._times else None
    return recorded


def register() -> None:
    """Put `Event` in the place of `torch.Event`."""
    torch.Event = Event  # type: ignore[misc]
