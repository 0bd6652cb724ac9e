"""Where a tensor goes that is sent to `sdaa` without an index: to the current device, as on a real accelerator.

PyTorch completes a device before any kernel is asked, from a guard that a Python backend can't write: it always says 0.
So the conversions are given the whole device, one step before that. And they never ask for a copy that doesn't block:
there is none here, and PyTorch would want pinned memory for it, which a Python backend can't hand out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.lab.emulation.card import DEVICE_TYPE, Card
from harness.lab.emulation.dispatch_plan import overload

__all__ = ["register"]

_Conversion = Callable[..., torch.Tensor]
_KEYS = ("AutogradCPU", "CPU", "AutogradPrivateUse1", "PrivateUse1")
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_Tensor: Any = torch.Tensor


def register(aten: torch.library.Library, card: Card) -> None:
    """Register the conversions in `aten`, and lead `new_tensor` and `new` to the device of the tensor asked."""
    # `x.to(…)`, `.cpu()`, `torch.tensor`, `as_tensor`, `asarray` and `Module.to` all come through these.
    conversions = {"to.device": _to_device, "to.dtype_layout": _to_layout, "to.other": _to_other}
    for name, conversion in conversions.items():
        kernel = conversion(overload(f"aten::{name}"), card)
        for key in _KEYS:
            aten.impl(name, kernel, key)
    for name in ("new_tensor", "new"):
        setattr(_Tensor, name, _beside(getattr(_Tensor, name), card))


def _to_device(op: torch._ops.OpOverload, card: Card) -> _Conversion:
    def to(tensor: torch.Tensor, device: Any, dtype: Any, wait: Any = None, copy: bool = False, **kw: Any) -> Any:
        return op._op_dk(_COMPOSITE, tensor, _whole(device, card), dtype, False, copy, **kw)

    return to


def _to_layout(op: torch._ops.OpOverload, card: Card) -> _Conversion:
    def to(tensor: torch.Tensor, *, device: Any = None, non_blocking: bool = False, **kw: Any) -> Any:
        return op._op_dk(_COMPOSITE, tensor, device=_whole(device, card), **kw)

    return to


def _to_other(op: torch._ops.OpOverload, card: Card) -> _Conversion:
    def to(tensor: torch.Tensor, other: Any, wait: Any = None, copy: bool = False, **kw: Any) -> Any:
        return op._op_dk(_COMPOSITE, tensor, other, False, copy, **kw)

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
