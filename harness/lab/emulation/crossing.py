"""An operation's way to the host and back, and the device of the card that it is at home on.

What it is given has to be on one device, as on a real accelerator; what it makes goes to that one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import torch

from harness.lab.emulation.card import DEVICE_TYPE, Card, Chip
from harness.lab.emulation.dispatch_plan import Plan
from harness.lab.emulation.generator import belongs_to_device
from harness.lab.emulation.relabel import host_tensor
from harness.values.errors import DeviceError

__all__ = ["MIXES_DEVICES", "Crossing", "chip_of", "hold", "to_host"]

_Tensor = torch.Tensor
_Generator = torch._C.Generator
_ON_HOST = -1
_NOWHERE = -2

# What a real accelerator takes tensors of the host for, beside its own.
MIXES_DEVICES = frozenset(
    {
        "copy_", "_copy_from", "_copy_from_and_resize", "_to_copy", "set_", "_local_scalar_dense", "equal",
        "index", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put", "_pack_padded_sequence",
    }
)  # fmt: skip

# What takes tensors of two devices of the card.
_COPIES = frozenset({"copy_", "_copy_from", "_copy_from_and_resize", "_to_copy"})


def to_host(plan: Plan, values: Iterable[Any], home: int = _NOWHERE) -> tuple[list[Any], int]:
    """The values with each tensor of the card as its host tensor, and the index of the device that all of them are on.

    Raises:
        DeviceError: they are on several, and the operation can't have that.
    """
    host = []
    for value in values:
        if isinstance(value, _Tensor):
            index = value.get_device()
            if index != home:
                home = _joined(plan, value, index, home)
            if index != _ON_HOST:
                value = _marked(value, host_tensor(value)) if plan.keeps_marks else host_tensor(value)  # noqa: PLW2901
            host.append(value)
        else:
            host.append(value)
    return host, home


def _joined(plan: Plan, tensor: _Tensor, index: int, home: int) -> int:
    """Where an operation is at home that has a tensor on `index` beside those on `home`."""
    if index == _ON_HOST:
        if tensor.dim() and plan.name not in MIXES_DEVICES:
            _refuse_mixed(plan, tensor, "sdaa" if home == _NOWHERE else f"sdaa:{home}")
        return home
    if home != _NOWHERE and plan.name not in _COPIES:
        _refuse_mixed(plan, tensor, f"sdaa:{home}")
    return index if home == _NOWHERE else home


def _refuse_mixed(plan: Plan, tensor: _Tensor, home: str) -> NoReturn:
    raise DeviceError(
        "expected all tensors to be on the same device",
        where=f"aten::{plan.name}",
        observed=f"a tensor of shape {tuple(tensor.shape)} on {tensor.device} among tensors on {home}",
        hint=f'move it with .to("{home}")',
    )


def _refuse_generator(plan: Plan) -> NoReturn:
    raise DeviceError(
        "expected a generator of the device",
        where=f"aten::{plan.name}",
        observed="a generator of the host",
        allowed=f'torch.Generator("{DEVICE_TYPE}")',
    )


class Crossing:
    """One call's way to the host and back, on which a tensor that the CPU hands back is the caller's own."""

    __slots__ = ("chip", "home", "origin", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.home = _NOWHERE
        self.chip: Chip
        self.origin: dict[int, tuple[_Tensor, _Tensor]] = {}

    def down(self, value: Any) -> Any:
        """An argument for the host, lists of tensors too."""
        if isinstance(value, _Tensor):
            (host,), self.home = to_host(self.plan, (value,), self.home)
            self.origin[id(host)] = (value, host)
            return host
        if isinstance(value, (list, tuple)):
            return [self.down(element) for element in value]
        if isinstance(value, _Generator) and not belongs_to_device(value):
            _refuse_generator(self.plan)
        return value

    def up(self, value: Any) -> Any:
        """A result for the caller: what was given stays itself, what is new goes to the operation's device."""
        if isinstance(value, _Tensor):
            known = self.origin.get(id(value))
            return known[0] if known is not None else self.chip.take(value)
        if isinstance(value, (list, tuple)):
            return type(value)([self.up(element) for element in value])
        return value

    def resizable(self, host: Any) -> Any:
        """An empty `out=` may grow, which borrowed memory can't: give the CPU one of its own."""
        if isinstance(host, list):
            return [self.resizable(element) for element in host]
        if host.numel():
            return host
        own = torch.empty(host.shape, dtype=host.dtype)
        self.origin[id(own)] = (self.origin[id(host)][0], own)
        return own

    def follow_resize(self, host: Any) -> None:
        """Let an `out=` that the CPU has resized be resized for the caller."""
        if isinstance(host, list):
            for element in host:
                self.follow_resize(element)
            return
        tensor = self.origin[id(host)][0]
        if tensor.shape != host.shape:
            hold(tensor, host, self.chip)


def chip_of(card: Card, home: int, device: Any) -> Chip:
    """Where what an operation makes goes: to the device that it names, else to its tensors'."""
    if device is not None and torch.device(device).type == DEVICE_TYPE:
        return card.chip(device)
    return card.current if home == _NOWHERE else card.chips[home]


def _marked(tensor: _Tensor, host: _Tensor) -> _Tensor:
    """The host tensor with the marks of the device's, lazy conjugation and negation, which DLPack has no field for."""
    if tensor.is_conj():
        host = host.conj()
    return torch._neg_view(host) if tensor.is_neg() else host


def hold(tensor: _Tensor, host: _Tensor, chip: Chip) -> None:
    """Make `tensor` what `host` is, in its own storage where that has room, since others may look at it."""
    storage, offset = tensor.untyped_storage(), tensor.storage_offset()
    if host.dtype is tensor.dtype and storage.nbytes() >= (offset + host.numel()) * host.element_size() > 0:
        tensor.set_(storage, offset, host.shape, host.stride())
        host_tensor(tensor).copy_(host)
    else:
        tensor.data = chip.take(host)
