"""Storages of the device: host memory that wears its label.

PyTorch asks a backend's allocator for a storage that is made, moved or cloned as a storage (a checkpoint load does it),
and a Python backend has none: the process would die. Here they go over a tensor instead.
"""

from __future__ import annotations

from typing import Any

import torch

from harness.lab.emulation.card import DEVICE_TYPE, Card, Chip
from harness.values.errors import DeviceError

__all__ = ["register"]

_Base: Any = torch.storage._StorageBase
_Storage: Any = torch.UntypedStorage


def register(card: Card) -> None:
    """Teach `UntypedStorage` about the device; on other devices it stays PyTorch's own."""
    _Storage.__new__ = _made(_Storage.__new__, card)
    _Storage.resize_ = _resized(_Storage.resize_)
    _Storage.new = _new(_Storage.new, card)
    for name in ("_share_fd_cpu_", "_share_filename_cpu_"):
        setattr(_Storage, name, _unshared(getattr(_Storage, name)))
    to, clone = _Base.to, _Base.clone

    def moved(self: Any, *, device: Any, non_blocking: bool = False) -> Any:
        target = torch.device(device)
        if target.type != DEVICE_TYPE:
            return to(self, device=target, non_blocking=non_blocking)
        if self.device.type == DEVICE_TYPE:
            return self if card.chip(target).device == self.device else _labelled(self.cpu(), card.chip(target))
        return _labelled(clone(self), card.chip(target))

    def cloned(self: Any) -> Any:
        return _labelled(self.cpu(), card.chip(self.device)) if self.device.type == DEVICE_TYPE else clone(self)

    _Base.to, _Base.clone = moved, cloned


def _labelled(host_storage: Any, chip: Chip) -> Any:
    return chip.take(torch.empty(0, dtype=torch.uint8).set_(host_storage)).untyped_storage()


def _made(make: Any, card: Card) -> Any:
    def made(cls: Any, *args: Any, device: Any = None, **kwargs: Any) -> Any:
        if device is None:
            return make(cls, *args, **kwargs)
        if torch.device(device).type == DEVICE_TYPE:
            return _labelled(make(cls, *args, **kwargs), card.chip(device))
        return make(cls, *args, device=device, **kwargs)

    return staticmethod(made)


def _new(make: Any, card: Card) -> Any:
    def new(self: Any) -> Any:
        if self.device.type == DEVICE_TYPE:
            return _labelled(torch.UntypedStorage(0), card.chip(self.device))
        return make(self)

    return new


def _unshared(share: Any) -> Any:
    def shared(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.device.type == DEVICE_TYPE:
            raise DeviceError(
                "a tensor of the emulated accelerator can't be shared with another process",
                where="torch.multiprocessing",
                observed=str(self.device),
                allowed="tensors on cpu",
                hint="send .cpu(), and move it to the device where it arrives",
            )
        return share(self, *args, **kwargs)

    return shared


def _resized(resize: Any) -> Any:
    def resized(self: Any, size: int) -> Any:
        if self.device.type == DEVICE_TYPE:
            raise DeviceError(
                "a storage of the emulated accelerator can't be resized",
                where="UntypedStorage.resize_",
                observed=f"{self.nbytes()} to {size} bytes",
                hint="resize the tensor, which gets a new storage",
            )
        return resize(self, size)

    return resized
