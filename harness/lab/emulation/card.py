"""The emulated card: its devices `sdaa:0`, `sdaa:1`, …, and the one that is current.

Each has a memory and a random stream of its own. As many are there as `SDAA_VISIBLE_DEVICES` lists, and without it as
many as one card shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from harness.lab.emulation.device_memory import MemoryCounter
from harness.lab.emulation.random_stream import RandomStream
from harness.lab.emulation.relabel import device_tensor
from harness.values.errors import DeviceError

__all__ = ["DEVICES_A_CARD", "DEVICE_TYPE", "Card", "Chip", "visible_devices"]

DEVICE_TYPE = "sdaa"
DEVICES_A_CARD = 4
VISIBLE = "SDAA_VISIBLE_DEVICES"
_MOST_DEVICES = 64


class Chip:
    """One device of the card.

    Attributes:
        index: its place in this process; tensors on it are labelled `sdaa:index`.
        number: its number on the card, as `SDAA_VISIBLE_DEVICES` names it.
        stream: its random numbers.
        memory: bytes in living tensors on it.
    """

    __slots__ = ("index", "memory", "number", "stream")

    def __init__(self, index: int, number: int) -> None:
        self.index = index
        self.number = number
        self.stream = RandomStream()
        self.memory = MemoryCounter()

    @property
    def device(self) -> torch.device:
        """`sdaa:index`."""
        return torch.device(DEVICE_TYPE, self.index)

    def take(self, host: torch.Tensor) -> torch.Tensor:
        """The tensor of this device over the memory of a CPU tensor, counted."""
        return self.memory.count(device_tensor(host, self.index))


class Card:
    """The devices of this process.

    The current one is the process's, not a thread's: PyTorch runs backward in a thread of its own, and a Python backend
    isn't told which device that thread is for.

    Attributes:
        chips: its devices, by index.
        current: the device that `sdaa` without an index means.
    """

    def __init__(self, numbers: Sequence[int] = range(DEVICES_A_CARD)) -> None:
        self.chips = tuple(Chip(index, number) for index, number in enumerate(numbers))
        self.current = self.chips[0]

    def chip(self, device: Any = None, where: str = f"torch.{DEVICE_TYPE}") -> Chip:
        """The device that is meant by an index, a string or a `torch.device`; the current one by None, -1 or `sdaa`.

        Raises:
            DeviceError: it is another kind of device, or the card hasn't that many.
        """
        if device is None:
            return self.current
        index = device if isinstance(device, int) and not isinstance(device, bool) else _index_of(device, where)
        if index in (None, -1):
            return self.current
        if not 0 <= index < len(self.chips):
            raise DeviceError(
                "the emulated accelerator has no such device",
                where=where,
                observed=device,
                allowed=f"{DEVICE_TYPE}:0 … {DEVICE_TYPE}:{len(self.chips) - 1}",
                hint=f"{VISIBLE}=0,1,… before the start, one number for each device",
            )
        return self.chips[index]

    @contextmanager
    def using(self, chip: Chip) -> Iterator[None]:
        """`chip` is current inside."""
        before, self.current = self.current, chip
        try:
            yield
        finally:
            self.current = before


def visible_devices(environ: Mapping[str, str] = os.environ) -> tuple[int, ...]:
    """The numbers of the devices that the environment shows.

    Raises:
        DeviceError: `SDAA_VISIBLE_DEVICES` isn't a list of device numbers, each once.
    """
    listed = environ.get(VISIBLE)
    if listed is None:
        return tuple(range(DEVICES_A_CARD))
    numbers = [number.strip() for number in listed.split(",")]
    if all(n.isdecimal() for n in numbers) and len({int(n) for n in numbers}) == len(numbers) <= _MOST_DEVICES:
        return tuple(int(n) for n in numbers)
    raise DeviceError(
        "the list of visible devices can't be read",
        where=VISIBLE,
        observed=listed,
        allowed=f"1 to {_MOST_DEVICES} different device numbers, as in 0,1,2,3",
        hint=f"unset {VISIBLE}: the emulated card has {DEVICES_A_CARD} devices",
    )


def _index_of(device: Any, where: str) -> int | None:
    try:
        meant = torch.device(device) if isinstance(device, (str, torch.device)) else None
    except RuntimeError:
        meant = None
    if meant is None or meant.type != DEVICE_TYPE:
        raise DeviceError(
            "that is no device of the accelerator",
            where=where,
            observed=repr(device),
            allowed=f"an index, {DEVICE_TYPE} or {DEVICE_TYPE}:index",
        )
    return meant.index
