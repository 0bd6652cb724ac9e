"""`torch.Generator("sdaa")`: a generator of random numbers beside the device's own stream.

PyTorch can't make one for a Python backend. It is a generator of the host that says it is the device's; kernels of the
device take it, and no plain one, as on a real accelerator. The host's own operations can't tell, and take it too.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch

from harness.lab.emulation.card import DEVICE_TYPE, Card

__all__ = ["belongs_to_device", "register"]

_Native: Any = torch._C.Generator
# A kernel gets a wrapper of its own over the same generator: the address is what they share.
_of_device: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def belongs_to_device(generator: Any) -> bool:
    """Whether it was made by `torch.Generator("sdaa")`."""
    return generator._cdata in _of_device


def register(card: Card) -> None:
    """Put a `torch.Generator` in place that knows the device; on others it makes PyTorch's own."""

    class Kind(type(_Native)):  # type: ignore[misc]
        """Every generator of PyTorch's is an instance, whoever made it."""

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, _Native)

    class Generator(_Native, metaclass=Kind):  # type: ignore[misc]
        """`torch.Generator`, of the host or of the emulated accelerator."""

        def __new__(cls, device: Any = "cpu") -> Any:
            if torch.device(device).type != DEVICE_TYPE:
                return _Native(device)
            chip = card.chip(device, "torch.Generator")
            made = _Native.__new__(cls)
            made._device = chip.device
            _of_device[made._cdata] = made
            return made

        def clone_state(self) -> Any:
            """Another generator of the same device, in the same state."""
            return Generator(self.device).set_state(self.get_state())

        @property
        def device(self) -> torch.device:
            """The device that it draws for."""
            chosen: torch.device = self._device
            return chosen

    torch.Generator = Generator  # type: ignore[misc]
