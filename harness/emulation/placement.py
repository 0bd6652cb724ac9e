"""Where a tensor goes that is sent to `sdaa` without an index: to the current device, as on a real accelerator.

PyTorch completes a device before any kernel is asked, from a guard that a Python backend can't write: it always says 0.
So the conversions are given the whole device, one step before that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.emulation.card import DEVICE_TYPE, Card
from harness.emulation.plan import overload

__all__ = ["register"]

# `x.to(…)`, `.cpu()`, `torch.tensor`, `as_tensor`, `asarray` and `Module.to` all come through these.
_CONVERSIONS = ("to.device", "to.dtype_layout")
_KEYS = ("AutogradCPU", "CPU", "AutogradPrivateUse1", "PrivateUse1")
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_Tensor: Any = torch.Tensor


def register(aten: torch.library.Library, card: Card) -> None:
    """Register the conversions in `aten`, and lead `new_tensor` and `new` to the device of the tensor asked."""
    conversions = (_to_device, _to_layout)
    for name, conversion in zip(_CONVERSIONS, conversions, strict=True):
        kernel = conversion(overload(f"aten::{name}"), card)
        for key in _KEYS:
            aten.impl(name, kernel, key)
    for name in ("new_tensor", "new"):
        setattr(_Tensor, name, _beside(getattr(_Tensor, name), card))


def _to_device(op: torch._ops.OpOverload, card: Card) -> Callable[..., torch.Tensor]:
    def to(tensor: torch.Tensor, device: Any, *rest: Any, **kwargs: Any) -> torch.Tensor:
        moved: torch.Tensor = op._op_dk(_COMPOSITE, tensor, _whole(device, card), *rest, **kwargs)
        return moved

    return to


def _to_layout(op: torch._ops.OpOverload, card: Card) -> Callable[..., torch.Tensor]:
    def to(tensor: torch.Tensor, *, device: Any = None, **kwargs: Any) -> torch.Tensor:
        moved: torch.Tensor = op._op_dk(_COMPOSITE, tensor, device=_whole(device, card), **kwargs)
        return moved

    return to


def _whole(device: torch.device | None, card: Card) -> torch.device | None:
    return card.chip(device, "torch.Tensor.to").device if device is not None and device.type == DEVICE_TYPE else device


def _beside(make: Callable[..., torch.Tensor], card: Card) -> Callable[..., torch.Tensor]:
    def made(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.device.type != DEVICE_TYPE:
            return make(self, *args, **kwargs)
        with card.using(card.chips[self.get_device()]):
            return make(self, *args, **kwargs)

    return made
