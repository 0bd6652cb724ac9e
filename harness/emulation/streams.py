"""Streams and events of a device that has finished whenever a call returns: they keep order, and time, and no more."""

from __future__ import annotations

import time
from typing import Any

import torch

from harness.emulation.card import Chip
from harness.values.errors import DeviceError

__all__ = ["Event", "stream_of"]


def stream_of(chip: Chip) -> torch.Stream:
    """The one stream of that device."""
    device_type = torch._C._autograd.DeviceType.PrivateUse1.value
    return torch.Stream(stream_id=0, device_index=chip.index, device_type=device_type)


class Event:
    """A moment in a stream; the surface is `torch.cuda.Event`'s.

    Args:
        enable_timing: whether `elapsed_time` may be asked.
        settings: `blocking` and `interprocess`, which change nothing here.
    """

    def __init__(self, enable_timing: bool = False, **settings: Any) -> None:
        self._timing = enable_timing
        self._recorded: float | None = None

    def record(self, stream: Any = None) -> None:
        """Let the event be now."""
        self._recorded = time.perf_counter()

    def wait(self, stream: Any = None) -> None:
        """Wait for what came before it: that is done."""

    def synchronize(self) -> None:
        """Wait for what came before it: that is done."""

    def query(self) -> bool:
        """Whether what came before it is done: always."""
        return True

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds from this event to `end`.

        Raises:
            DeviceError: one of them wasn't recorded, or doesn't keep time.
        """
        times = [event._recorded if event._timing else None for event in (self, end)]
        if times[0] is None or times[1] is None:
            raise DeviceError(
                "the time between two events isn't known",
                where="torch.sdaa.Event.elapsed_time",
                observed="an event that wasn't recorded, or keeps no time",
                allowed="two recorded events, made with enable_timing=True",
            )
        return (times[1] - times[0]) * 1000
