"""Hard inputs: what a training step seldom meets, made of the arguments of a call that it did make.

Large, denormal, tied, infinite, NaN, strided, channels last, odd in size or empty: each kind from the operation's name
and the call's positional arguments, which stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from harness.shadow.arithmetic.host import change_tensors, tensors_of

__all__ = ["HARD_INPUTS", "LAYOUTS", "can_be_odd_sized", "of_floating"]

_Tensor = torch.Tensor

_LARGE = 1e4
"""What the largest element becomes: its exponential overflows float32, its square half precision."""

_LARGE_IN_HALF = 16.0
"""The same of a tensor in float16, whose own range ends at 65,504: a healthy kernel's sums may overflow long before."""

_FREE_AXES: Mapping[str, tuple[int, ...]] = {
    "convolution": (-2, -1),
    "cudnn_convolution": (-2, -1),
    "convolution_overrideable": (-2, -1),
    "native_batch_norm": (-2, -1),
    "_native_batch_norm_legit": (-2, -1),
    "cudnn_batch_norm": (-2, -1),
    "mm": (0,),
    "bmm": (1,),
}
"""Operations of tensors of several shapes → axes of the first that may be shorter, the others as they are; not those
of four elements or fewer: of a single element a norm leaves nothing but rounding."""

_SIZED = ("upsample_", "_upsample_")
"""Beginnings of operations that are told their result's size, and a scale, beside the tensor: they aren't cut."""

_CUT_TO = 4
"""Axes are cut to 1 more than a multiple of it: then what has a stride of 2 makes an odd size of them as well."""

_Harden = Callable[[str, list[Any]], list[Any] | None]
"""Makes a call's positional arguments hard, from the operation's name and them; None where it can't be."""


def of_floating(change: Callable[[_Tensor], _Tensor]) -> Callable[[Any], Any]:
    """What changes the floating tensors of an argument, and copies others."""
    return lambda value: change_tensors(value, lambda t: change(t) if t.is_floating_point() else t.clone())


def _floating(change: Callable[[_Tensor], _Tensor]) -> _Harden:
    """Every floating tensor changed, anything else as a copy."""
    return lambda _, args: list(map(of_floating(change), args))


def _first(change: Callable[[_Tensor], _Tensor]) -> _Harden:
    """The first floating tensor changed, anything else as a copy: the product of two denormals is nothing anyway."""

    def harden(_: str, args: list[Any]) -> list[Any]:
        first = next((tensor for tensor in tensors_of(args) if tensor.is_floating_point()), None)
        return [
            change_tensors(value, lambda tensor: change(tensor) if tensor is first else tensor.clone())
            for value in args
        ]

    return harden


def _scaled(largest: Callable[[torch.dtype], float]) -> Callable[[_Tensor], _Tensor]:
    """The tensor with its largest element at a size that depends on the dtype."""

    def change(tensor: _Tensor) -> _Tensor:
        host = tensor.detach().cpu().double()
        size = float(host.abs().max()) if host.numel() else 0.0
        return (host * (largest(tensor.dtype) / size if size else 1.0)).to(tensor.dtype).to(tensor.device)

    return change


def _tied(tensor: _Tensor) -> _Tensor:
    """The tensor on a grid of halves, where many elements are equal."""
    return ((tensor.detach().cpu().double() * 2).round() / 2).to(tensor.dtype).to(tensor.device)


def _holding(value: float) -> Callable[[_Tensor], _Tensor]:
    """The tensor with one element set."""

    def change(tensor: _Tensor) -> _Tensor:
        host = tensor.detach().cpu().contiguous().clone()
        host.view(-1)[: min(1, host.numel())] = value
        return host.to(tensor.device)

    return change


def _strided(tensor: _Tensor) -> _Tensor:
    """The tensor as every second element of one of twice the size, which has NaN between."""
    wide = tensor.new_full((*tensor.shape, 2), float("nan"))
    wide[..., 0] = tensor
    return wide[..., 0]


def _channels_last(tensor: _Tensor) -> _Tensor:
    """A map with its channels innermost in memory, or a volume; any other tensor as a copy."""
    innermost = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.dim())
    return tensor.clone() if innermost is None else tensor.clone(memory_format=innermost)


LAYOUTS: Mapping[str, Callable[[_Tensor], _Tensor]] = {"strided": _strided, "channels-last": _channels_last}
"""Kind → the same tensor, laid out in another way."""


def _odd(name: str, args: list[Any]) -> list[Any] | None:
    """Sizes that no vector's width divides: 1, 5, 9 …, a little less than they were, where tensors can be cut so.

    Those can that all have one shape, and the first of an operation whose other tensors have nothing of these axes. An
    index into what was cut could lie outside of it: then none is made.
    """
    sizes = _odd_sizes(name, args)
    if sizes is None:
        return None
    first = next(tensor for tensor in tensors_of(args) if tensor.dim())

    def shorter(tensor: _Tensor) -> _Tensor:
        cut = tensor.dim() and (tensor is first or name not in _FREE_AXES)
        return (tensor[tuple(map(slice, sizes))] if cut else tensor).clone()

    return [change_tensors(value, shorter) for value in args]


def can_be_odd_sized(name: str, args: Sequence[Any]) -> bool:
    """Whether a call of an operation can be run again with odd-sized tensors."""
    return _odd_sizes(name, args) is not None


def _odd_sizes(name: str, args: Sequence[Any]) -> list[int] | None:
    """The shape that the tensors of a call, or its first, are cut to; None where they can't be, or need not be."""
    tensors = [tensor for tensor in tensors_of(args) if tensor.dim()]
    if name.startswith(_SIZED) or not tensors:
        return None
    if any(not tensor.is_floating_point() and tensor.dtype is not torch.bool for tensor in tensors):
        return None
    shape = tensors[0].shape
    alike = range(len(shape)) if all(tensor.shape == shape for tensor in tensors) else range(0)
    sizes = list(shape)
    for axis in _FREE_AXES.get(name, alike):
        if name not in _FREE_AXES or sizes[axis] > _CUT_TO:
            sizes[axis] -= (sizes[axis] - 1) % _CUT_TO
    return sizes if sizes != list(shape) and min(sizes) > 0 else None


def _emptied(name: str, args: list[Any]) -> list[Any] | None:
    """No sample: the first axis that all large tensors share is cut to nothing; None where they share none.

    Nor of an operation that takes weights: where there are as many channels as samples these would be cut as well, and
    PyTorch's own kernels divide by their number, which ends the process.
    """
    tensors = [value for value in args if isinstance(value, _Tensor) and value.dim()]
    if not tensors or "norm" in name or "convolution" in name or len({tensor.shape[0] for tensor in tensors}) > 1:
        return None
    return [value[:0].clone() if isinstance(value, _Tensor) and value.dim() else value for value in args]


HARD_INPUTS: Mapping[str, _Harden] = {
    "large": _floating(_scaled(lambda dtype: _LARGE_IN_HALF if dtype is torch.float16 else _LARGE)),
    "denormal": _first(_scaled(lambda dtype: torch.finfo(dtype).tiny / 4)),
    "ties": _floating(_tied),
    "infinity": _first(_holding(float("inf"))),
    "NaN": _first(_holding(float("nan"))),
    **{kind: _floating(lay_out) for kind, lay_out in LAYOUTS.items()},
    "odd-sized": _odd,
    "empty": _emptied,
}
"""Kind → what makes a call's positional arguments hard; None where it can't be made of them."""
