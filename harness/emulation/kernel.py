"""The boxed kernel: every operation of the device, computed by the CPU's kernel over relabelled tensors.

Autograd, views, hooks and autocast stay PyTorch's own, above this kernel; views keep their storage shared, so they run
natively. What is done here is done for each of some thousand operations of a training iteration, so an operation's
schema is read once into a `Plan`, and the kernel for it is the plainest of four that its plan allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.emulation.memory import MemoryCounter
from harness.emulation.module import check_index
from harness.emulation.plan import Plan
from harness.emulation.random_stream import RandomStream
from harness.emulation.relabel import device_tensor, host_tensor
from harness.values.errors import DeviceError

__all__ = ["make_kernel"]

Kernel = Callable[..., Any]

# Metadata only, and the storage has to stay the one that it is.
_VIEWS = frozenset({"as_strided", "view", "_reshape_alias", "unfold", "set_"})

# What a real accelerator takes tensors of the host for, beside its own.
_MIXES_DEVICES = frozenset(
    {
        "copy_", "_copy_from", "_copy_from_and_resize", "_to_copy", "set_", "_local_scalar_dense", "equal",
        "index", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put", "_pack_padded_sequence",
    }
)  # fmt: skip

_CPU_KEY = torch._C.DispatchKey.CPU
_Tensor = torch.Tensor


def make_kernel(plan: Plan, stream: RandomStream, memory: MemoryCounter) -> Kernel:
    """The device's kernel for one operation; what it makes is counted in `memory`, its draws come from `stream`."""
    if plan.op is torch.ops.aten.set_.default:
        return _make_emptied(memory)
    if plan.name in _VIEWS:
        return _make_view(plan)
    if plan.name == "resize_":
        return _make_resize(memory)
    plain = not (plan.has_tensor_lists or plan.writes_out or plan.draws or plan.makes or plan.name in _MIXES_DEVICES)
    if plain and plan.is_inplace:
        return _make_inplace(plan)
    if plain and not any(owner is not None for owner in plan.returned):
        return _make_functional(plan, memory)
    return _make_general(plan, stream, memory)


def _make_view(plan: Plan) -> Kernel:
    native = plan.op._op_dk

    def view(*args: Any, **kwargs: Any) -> Any:
        return native(_CPU_KEY, *args, **kwargs)

    return view


def _make_functional(plan: Plan, memory: MemoryCounter) -> Kernel:
    """Tensors and scalars in, new values out."""

    def functional(*args: Any, **kwargs: Any) -> Any:
        host = [_to_host(plan, a) if isinstance(a, _Tensor) else a for a in args]
        if kwargs:
            kwargs = {k: _to_host(plan, a) if isinstance(a, _Tensor) else a for k, a in kwargs.items()}
        out = plan.run(*host, **kwargs)
        if isinstance(out, _Tensor):
            return made(out, host, args)
        if isinstance(out, tuple):
            return tuple([made(o, host, args) if isinstance(o, _Tensor) else o for o in out])
        return out

    def made(out: _Tensor, host: list[Any], args: tuple[Any, ...]) -> _Tensor:
        for index, given in enumerate(host):
            if given is out:
                return args[index]  # type: ignore[no-any-return]
        return memory.count(device_tensor(out))

    return functional


def _make_inplace(plan: Plan) -> Kernel:
    """The first argument is written and returned; its shape can't change."""

    def inplace(*args: Any, **kwargs: Any) -> Any:
        host = [_to_host(plan, a) if isinstance(a, _Tensor) else a for a in args]
        if kwargs:
            kwargs = {k: _to_host(plan, a) if isinstance(a, _Tensor) else a for k, a in kwargs.items()}
        out = plan.run(*host, **kwargs)
        if out is not host[0]:
            host[0].copy_(out)
        return args[0]

    return inplace


def _make_general(plan: Plan, stream: RandomStream, memory: MemoryCounter) -> Kernel:
    """Lists of tensors, several returns, `out=`, factories and random draws."""

    def general(*args: Any, **kwargs: Any) -> Any:
        crossing = _Crossing(plan, memory)
        host_args = [crossing.down(a) for a in args]
        host_kwargs = {k: crossing.down(a) for k, a in kwargs.items()}
        for out in plan.writes_out:
            host_kwargs[out] = crossing.resizable(host_kwargs[out])
        if plan.makes:
            _make_on_host(host_kwargs)
        if plan.draws:
            with stream.drawing():
                result = plan.run(*host_args, **host_kwargs)
        else:
            result = plan.run(*host_args, **host_kwargs)
        for out in plan.writes_out:
            crossing.follow_resize(host_kwargs[out])
        return crossing.up(result)

    return general


class _Crossing:
    """One call's way to the host and back, on which a tensor that the CPU hands back is the caller's own."""

    __slots__ = ("memory", "origin", "plan")

    def __init__(self, plan: Plan, memory: MemoryCounter) -> None:
        self.plan = plan
        self.memory = memory
        self.origin: dict[int, tuple[_Tensor, _Tensor]] = {}

    def down(self, value: Any) -> Any:
        if isinstance(value, _Tensor):
            host = _to_host(self.plan, value)
            self.origin[id(host)] = (value, host)
            return host
        if isinstance(value, (list, tuple)):
            return [self.down(element) for element in value]
        return value

    def up(self, value: Any) -> Any:
        if isinstance(value, _Tensor):
            known = self.origin.get(id(value))
            return known[0] if known is not None else self.memory.count(device_tensor(value))
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
        if isinstance(host, list):
            for element in host:
                self.follow_resize(element)
            return
        tensor = self.origin[id(host)][0]
        if tensor.shape != host.shape:
            _hold(tensor, host, self.memory)


def _to_host(plan: Plan, tensor: _Tensor) -> _Tensor:
    if not tensor.is_cpu:
        host = host_tensor(tensor)
        return _marked(tensor, host) if plan.name in _MIXES_DEVICES else host
    if tensor.dim() and plan.name not in _MIXES_DEVICES:
        raise DeviceError(
            "expected all tensors to be on the same device",
            where=f"aten::{plan.name}",
            observed=f"a tensor of shape {tuple(tensor.shape)} on cpu among tensors on sdaa",
            hint='move it with .to("sdaa")',
        )
    return tensor


def _make_on_host(kwargs: dict[str, Any]) -> None:
    """Point a factory at the host."""
    device = kwargs.get("device")
    if device is not None:
        check_index(device)
        kwargs["device"] = "cpu"
    kwargs.pop("pin_memory", None)


def _marked(tensor: _Tensor, host: _Tensor) -> _Tensor:
    """Copies get lazily conjugated or negated tensors as they are; DLPack has no field for either mark."""
    if tensor.is_conj():
        host = host.conj()
    return torch._neg_view(host) if tensor.is_neg() else host


def _make_resize(memory: MemoryCounter) -> Kernel:
    def resize(tensor: _Tensor, size: list[int], *, memory_format: torch.memory_format | None = None) -> _Tensor:
        grown = torch.empty(size, dtype=tensor.dtype, memory_format=memory_format or torch.contiguous_format)
        elements = host_tensor(tensor.detach()).reshape(-1)
        kept = min(grown.numel(), elements.numel())
        grown.view(-1)[:kept] = elements[:kept]
        _hold(tensor, grown, memory)
        return tensor

    return resize


def _make_emptied(memory: MemoryCounter) -> Kernel:
    def emptied(tensor: _Tensor) -> _Tensor:
        tensor.data = memory.count(device_tensor(torch.empty(0, dtype=tensor.dtype)))
        return tensor

    return emptied


def _hold(tensor: _Tensor, host: _Tensor, memory: MemoryCounter) -> None:
    """Make `tensor` what `host` is, in its own storage where that has room, since others may look at it."""
    storage, offset = tensor.untyped_storage(), tensor.storage_offset()
    if host.dtype is tensor.dtype and storage.nbytes() >= (offset + host.numel()) * host.element_size() > 0:
        tensor.set_(storage, offset, host.shape, host.stride())
        host_tensor(tensor).copy_(host)
    else:
        tensor.data = memory.count(device_tensor(host))
