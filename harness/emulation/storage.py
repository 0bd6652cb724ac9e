"""Storages of the device: copies of host memory that wear its label.

PyTorch asks a backend's allocator for a storage that is moved or cloned as a storage (a checkpoint load does it), and a
Python backend has none: the process would die. These two methods go over a tensor instead.
"""

from __future__ import annotations

from typing import Any

import torch

from harness.emulation.module import DEVICE_TYPE
from harness.emulation.relabel import device_tensor

__all__ = ["register"]

_Base: Any = torch.storage._StorageBase


def register() -> None:
    """Teach `UntypedStorage.to` and `.clone` about the device; other devices keep PyTorch's own."""
    to, clone = _Base.to, _Base.clone
    synchronize = torch.accelerator.synchronize

    def moved(self: Any, *, device: Any, non_blocking: bool = False) -> Any:
        target = torch.device(device)
        if target.type != DEVICE_TYPE or self.device.type == DEVICE_TYPE:
            return to(self, device=target, non_blocking=non_blocking)
        host = torch.empty(0, dtype=torch.uint8).set_(clone(self))
        return device_tensor(host).untyped_storage()

    def cloned(self: Any) -> Any:
        return moved(self.cpu(), device=DEVICE_TYPE) if self.device.type == DEVICE_TYPE else clone(self)

    def synchronized(device: Any = None) -> None:
        if torch.accelerator.current_accelerator() != torch.device(DEVICE_TYPE):
            synchronize(device)

    _Base.to, _Base.clone = moved, cloned
    torch.accelerator.synchronize = synchronized
