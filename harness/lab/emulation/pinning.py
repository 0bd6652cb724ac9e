"""Pinned memory: host memory that PyTorch asks an accelerator's allocator for, and a Python backend has none.

Here it is host memory like any other, remembered as pinned for as long as its storage lives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import torch
from torch.jit import _builtins
from torch.utils import _device

from harness.lab.emulation.card import DEVICE_TYPE
from harness.values.errors import DeviceError

__all__ = ["register"]


class _PinnedMemory:
    """Weak references to pinned storages, by their address: another storage may have it later."""

    def __init__(self) -> None:
        self._storages: dict[int, Any] = {}

    def pin(self, tensor: torch.Tensor) -> torch.Tensor:
        """Remember the tensor's memory as pinned, and hand the tensor back."""
        if not tensor.is_cpu:
            _refuse(tensor)
        self._forget_the_dead()
        storage = tensor.untyped_storage()
        if not self.has(tensor):
            self._storages[storage.data_ptr()] = storage._weak_ref()
        return tensor

    def has(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor's memory is pinned."""
        known = self._storages.get(tensor.untyped_storage().data_ptr())
        return known is not None and not torch.UntypedStorage._expired(known)

    def _forget_the_dead(self) -> None:
        for address, reference in list(self._storages.items()):
            if torch.UntypedStorage._expired(reference):
                torch.UntypedStorage._free_weak_ref(self._storages.pop(address))


def register(aten: torch.library.Library) -> None:
    """Make `pin_memory()`, `is_pinned()` and `pin_memory=True` work for tensors of the host."""
    pinned = _PinnedMemory()
    aten.impl("_pin_memory", lambda tensor, device=None: pinned.pin(tensor.clone()), "CPU")
    aten.impl("_pin_memory", lambda tensor, device=None: _refuse(tensor), "PrivateUse1")
    aten.impl("is_pinned", lambda tensor, device=None: pinned.has(tensor), "CPU")
    aten.impl("is_pinned", lambda tensor, device=None: False, "PrivateUse1")
    # `torch.set_default_device` knows the factories by identity, from when it first looks; TorchScript does too.
    _device._device_constructors()
    for owner, name in _factories():
        make = getattr(owner, name)
        factory = _pinning(make, pinned)
        setattr(owner, name, factory)
        if (scripted := _builtins._find_builtin(make)) is not None:
            _builtins._register_builtin(factory, scripted)


def _factories() -> Iterator[tuple[Any, str]]:
    """Each public function and method whose schema has `pin_memory`, and `torch.tensor`, which has none."""
    schemas = torch._C._jit_get_all_schemas()
    names = {schema.name for schema in schemas if any(a.name == "pin_memory" for a in schema.arguments)}
    for name in sorted({"tensor", *(n.partition("::")[2] for n in names if n.startswith("aten::"))}):
        owner: Any = torch.Tensor if name.startswith("new_") else torch
        if not name.startswith("_") and hasattr(owner, name):
            yield owner, name


def _pinning(make: Callable[..., torch.Tensor], pinned: _PinnedMemory) -> Callable[..., torch.Tensor]:
    @functools.wraps(make)
    def factory(*args: Any, **kwargs: Any) -> torch.Tensor:
        if kwargs.get("pin_memory"):
            return pinned.pin(make(*args, **{**kwargs, "pin_memory": False}))
        return make(*args, **kwargs)

    return factory


def _refuse(tensor: torch.Tensor) -> NoReturn:
    raise DeviceError(
        "only memory of the host can be pinned",
        where="pin_memory",
        observed=f"a tensor on {tensor.device}",
        allowed="a tensor on cpu",
        hint=f"pin it before it is moved to {DEVICE_TYPE}",
    )
