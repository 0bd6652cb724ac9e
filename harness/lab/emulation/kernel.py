"""The boxed kernel: every operation of the device, computed by the CPU's kernel over relabelled tensors.

Autograd, views, hooks and autocast stay PyTorch's own, above this kernel; views keep their storage shared, so they run
natively. What is done here is done for each of some thousand operations of a training iteration, so an operation's
schema is read once into a `Plan`, and the kernel for it is the plainest of four that its plan allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.lab.emulation.card import Card, Chip
from harness.lab.emulation.crossing import MIXES_DEVICES, Crossing, chip_of, hold, to_host
from harness.lab.emulation.dispatch_plan import Plan
from harness.lab.emulation.relabel import host_tensor

__all__ = ["make_kernel"]

Kernel = Callable[..., Any]

# Metadata only, and the storage has to stay the one that it is.
_VIEWS = frozenset({"as_strided", "view", "_reshape_alias", "unfold", "set_"})

_CPU_KEY = torch._C.DispatchKey.CPU
_Tensor = torch.Tensor


def make_kernel(plan: Plan, card: Card) -> Kernel:
    """The card's kernel for one operation; it works on the device that its tensors are on, or that it is told to."""
    if plan.op is torch.ops.aten.set_.default:
        return _make_emptied(card)
    if plan.name in _VIEWS:
        return _make_view(plan)
    if plan.name == "resize_":
        return _make_resize(card)
    plain = not (plan.has_tensor_lists or plan.writes_out or plan.draws or plan.makes or plan.name in MIXES_DEVICES)
    if plain and plan.is_inplace:
        return _make_inplace(plan)
    if plain and not any(owner is not None for owner in plan.returned):
        return _make_functional(plan, card)
    return _make_general(plan, card)


def _make_view(plan: Plan) -> Kernel:
    native = plan.op._op_dk

    def view(*args: Any, **kwargs: Any) -> Any:
        return native(_CPU_KEY, *args, **kwargs)

    return view


def _make_functional(plan: Plan, card: Card) -> Kernel:
    """Tensors and scalars in, new values out."""
    chips = card.chips

    def functional(*args: Any, **kwargs: Any) -> Any:
        host, home = to_host(plan, args)
        if kwargs:
            values, home = to_host(plan, kwargs.values(), home)
            kwargs = dict(zip(kwargs, values, strict=True))
        out = plan.run(*host, **kwargs)
        if isinstance(out, _Tensor):
            return made(out, host, args, chips[home])
        if isinstance(out, tuple):
            return tuple([made(o, host, args, chips[home]) if isinstance(o, _Tensor) else o for o in out])
        return out

    def made(out: _Tensor, host: list[Any], args: tuple[Any, ...], chip: Chip) -> _Tensor:
        for index, given in enumerate(host):
            if given is out:
                return args[index]  # type: ignore[no-any-return]
        return chip.take(out)

    return functional


def _make_inplace(plan: Plan) -> Kernel:
    """The first argument is written and returned; its shape can't change."""

    def inplace(*args: Any, **kwargs: Any) -> Any:
        host, home = to_host(plan, args)
        if kwargs:
            kwargs = dict(zip(kwargs, to_host(plan, kwargs.values(), home)[0], strict=True))
        out = plan.run(*host, **kwargs)
        if out is not host[0]:
            host[0].copy_(out)
        return args[0]

    return inplace


def _make_general(plan: Plan, card: Card) -> Kernel:
    """Lists of tensors, several returns, `out=`, factories and random draws."""

    def general(*args: Any, **kwargs: Any) -> Any:
        crossing = Crossing(plan)
        host_args = [crossing.down(a) for a in args]
        host_kwargs = {k: crossing.down(a) for k, a in kwargs.items()}
        for out in plan.writes_out:
            host_kwargs[out] = crossing.resizable(host_kwargs[out])
        crossing.chip = chip_of(card, crossing.home, kwargs.get("device"))
        if plan.makes:
            _make_on_host(host_kwargs)
        if plan.draws:
            with crossing.chip.stream.drawing():
                result = plan.run(*host_args, **host_kwargs)
        else:
            result = plan.run(*host_args, **host_kwargs)
        for out in plan.writes_out:
            crossing.follow_resize(host_kwargs[out])
        return crossing.up(result)

    return general


def _make_on_host(kwargs: dict[str, Any]) -> None:
    """Point a factory at the host."""
    if kwargs.get("device") is not None:
        kwargs["device"] = "cpu"
    kwargs.pop("pin_memory", None)


def _make_resize(card: Card) -> Kernel:
    def resize(tensor: _Tensor, size: list[int], *, memory_format: torch.memory_format | None = None) -> _Tensor:
        grown = torch.empty(size, dtype=tensor.dtype, memory_format=memory_format or torch.contiguous_format)
        elements = host_tensor(tensor.detach()).reshape(-1)
        kept = min(grown.numel(), elements.numel())
        grown.view(-1)[:kept] = elements[:kept]
        hold(tensor, grown, card.chips[tensor.get_device()])
        return tensor

    return resize


def _make_emptied(card: Card) -> Kernel:
    def emptied(tensor: _Tensor) -> _Tensor:
        tensor.data = card.chips[tensor.get_device()].take(torch.empty(0, dtype=tensor.dtype))
        return tensor

    return emptied
