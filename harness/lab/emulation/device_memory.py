"""Memory counters that count: bytes that live tensors of the device hold."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["MemoryCounter"]

_SLACK = 1.02
_TOTAL = 16 << 30


class MemoryCounter:
    """Live and peak bytes of one device, from weak references to the storages that the kernel hands out.

    Nothing tells when a storage dies, so the living are counted only when someone asks, or when all that was handed
    out since the last count could have made a new peak by more than 2 percent: that is how exact the peak is.
    """

    total = _TOTAL  # what a card of the real kind has; the host may have less, or more

    def __init__(self) -> None:
        self._living: dict[Any, int] = {}
        self._bound = 0
        self._peak = 0

    def count(self, tensor: torch.Tensor) -> torch.Tensor:
        """Count the storage of a new tensor, and hand the tensor back."""
        storage = tensor.untyped_storage()
        nbytes = storage.nbytes()
        self._living[storage._weak_ref()] = nbytes
        self._bound += nbytes
        if self._bound > self._peak * _SLACK:
            self.allocated()
        return tensor

    def allocated(self) -> int:
        """Bytes in living storages now."""
        for reference in list(self._living):
            if torch.UntypedStorage._expired(reference):
                del self._living[reference]
                torch.UntypedStorage._free_weak_ref(reference)
        self._bound = sum(self._living.values())
        self._peak = max(self._peak, self._bound)
        return self._bound

    def peak(self) -> int:
        """The largest number of bytes that lived together, to 2 percent."""
        self.allocated()
        return self._peak

    def free_and_total(self) -> tuple[int, int]:
        """Bytes that a device of this size would still have, and its size."""
        return max(0, self.total - self.allocated()), self.total

    def stats(self) -> dict[str, dict[str, dict[str, int]]]:
        """The two counters, nested as PyTorch's allocators nest theirs."""
        counters = {"current": self.allocated(), "peak": self.peak()}
        return {f"{kind}_bytes": {"all": dict(counters)} for kind in ("allocated", "reserved")}

    def reset_peak(self) -> None:
        """Begin a new peak at what lives now."""
        self._peak = 0
        self.allocated()
