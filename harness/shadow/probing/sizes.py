"""Which axes of a call's tensors have to have one length, and the same call with other lengths.

Of operations whose tensors have axes of different meaning a table names the axes, by a letter each: those of one letter
have one length. All others are taken for operations that work element by element, where tensors broadcast: axes that
are as far from the end have one length. What that is wrong for the host refuses, which is asked before any device.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from harness.shadow.probing.lone_call import LoneCall

__all__ = ["REFUSALS", "Axes", "axes_of", "fitted", "laid_like", "repaired", "resized"]

REFUSALS = (RuntimeError, ValueError, IndexError, TypeError)
"""What torch says of sizes that don't fit."""

_MAPS = "NCHW"
_NORM = {"weight": "C", "bias": "C", "running_mean": "C", "running_var": "C", "save_mean": "C", "save_invstd": "C"}

_TABLE: Mapping[str, Mapping[str, str]] = {
    "convolution": {"input": _MAPS, "weight": "KCRS", "bias": "K"},
    "convolution_backward": {"input": _MAPS, "weight": "KCRS", "bias_sizes": "K"},
    "native_batch_norm": {"input": _MAPS, **_NORM},
    "_native_batch_norm_legit": {"input": _MAPS, **_NORM},
    "cudnn_batch_norm": {"input": _MAPS, **_NORM},
    "native_batch_norm_backward": {"grad_out": _MAPS, "input": _MAPS, **_NORM},
    "cudnn_batch_norm_backward": {"grad_output": _MAPS, "input": _MAPS, **_NORM, "save_var": "C"},
    "native_layer_norm": {"input": "NTE", "normalized_shape": "E", "weight": "E", "bias": "E"},
    "native_layer_norm_backward": {
        "grad_out": "NTE",
        "input": "NTE",
        "normalized_shape": "E",
        "weight": "E",
        "bias": "E",
        "mean": "NT1",
        "rstd": "NT1",
    },
    "mm": {"self": "MI", "mat2": "IP"},
    "bmm": {"self": "BMI", "mat2": "BIP"},
    "addmm": {"self": "P", "mat1": "MI", "mat2": "IP"},
    "baddbmm": {"self": "BMP", "batch1": "BMI", "batch2": "BIP"},
    "max_pool2d_with_indices": {"self": _MAPS},
    "max_pool2d_with_indices_backward": {"self": _MAPS},
    "avg_pool2d": {"self": _MAPS},
    "avg_pool2d_backward": {"self": _MAPS},
    "_adaptive_avg_pool2d": {"self": _MAPS, "output_size": "OP"},
    "_adaptive_avg_pool2d_backward": {"grad_output": "NCOP", "self": _MAPS},
    "upsample_bilinear2d": {"self": _MAPS, "output_size": "OP"},
    "upsample_nearest2d": {"self": _MAPS, "output_size": "OP"},
    "upsample_bilinear2d_backward": {"grad_output": "NCOP", "output_size": "OP", "input_size": _MAPS},
    "upsample_nearest2d_backward": {"grad_output": "NCOP", "output_size": "OP", "input_size": _MAPS},
    "nll_loss2d_forward": {"self": _MAPS, "target": "NHW", "weight": "C"},
    "nll_loss2d_backward": {"self": _MAPS, "target": "NHW", "weight": "C"},
    "nll_loss_forward": {"self": "NC", "target": "N", "weight": "C"},
    "nll_loss_backward": {"self": "NC", "target": "N", "weight": "C"},
}
"""Operation → argument → a letter for each axis, or for each number of a list; 1 for an axis that stays."""

_SIZES_UNSAID = ("native_group_norm", "_batch_norm_with_update", "batch_norm_", "as_strided", "_cudnn", "_fused")
"""Operations whose kernels trust the sizes that they are given: theirs stay as they are."""


@dataclass(frozen=True)
class _Spot:
    """An axis of a tensor, or a number of a list of integers.

    Args:
        argument: its name.
        element: which tensor of a list; −1 where the argument is none.
        axis: which axis, or number.
    """

    argument: str
    element: int
    axis: int


Axes = Mapping[str, Sequence[_Spot]]
"""A name → the axes that have one length."""


def axes_of(call: LoneCall) -> tuple[Axes, dict[str, int]]:
    """The axes of a call that can have another length, by name, and the lengths that they have."""
    named = _TABLE.get(call.name)
    if named is None:
        return ({}, {}) if call.name.startswith(_SIZES_UNSAID) else _by_place(call)
    if "convolution" in call.name:
        if call.arguments["transposed"]:
            named = {**named, "weight": "CKRS"}
        if call.arguments["groups"] != 1:
            x, weight = call.arguments["input"], call.arguments["weight"]
            depthwise = call.arguments["groups"] == x.shape[1] == weight.shape[0]
            channels = {"input": "NCHW", "weight": "C1RS", "bias": "C", "bias_sizes": "C", "groups": "C"}
            fixed = {"input": "N1HW", "weight": "11RS"}
            named = channels if depthwise else fixed
    spots: dict[str, list[_Spot]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for argument, letters in named.items():
        value = call.arguments.get(argument)
        lengths = tuple(value.shape) if isinstance(value, torch.Tensor) else value
        lengths = (lengths,) if isinstance(lengths, int) else lengths
        if lengths is None:
            continue
        for axis, (letter, length) in enumerate(zip(letters, lengths, strict=False)):
            if letter != "1":
                spots[letter].append(_Spot(argument, -1, axis))
                sizes.setdefault(letter, int(length))
    return spots, sizes


def _by_place(call: LoneCall) -> tuple[Axes, dict[str, int]]:
    """Axes by how far they are from the end; those of length 1 beside longer ones are broadcast, and stay."""
    found: dict[str, list[tuple[_Spot, int]]] = defaultdict(list)
    apart = "dim" if call.name in {"cat", "stack"} else ""
    for argument, value in call.arguments.items():
        listed = list(value) if isinstance(value, (list, tuple)) else [value]
        for element, tensor in enumerate(listed):
            if not isinstance(tensor, torch.Tensor):
                continue
            for axis, length in enumerate(tensor.shape):
                own = apart and axis == call.arguments["dim"] % tensor.dim()
                separate = isinstance(value, (list, tuple)) and not apart  # a list of tensors, each by itself
                name = f"axis {axis - tensor.dim()}" + (f" of {element}" if own or separate else "")
                spot = _Spot(argument, element if isinstance(value, (list, tuple)) else -1, axis)
                found[name].append((spot, length))
    sizes = {name: max(length for _, length in spots) for name, spots in found.items()}
    return {n: [spot for spot, length in spots if length == sizes[n]] for n, spots in found.items()}, sizes


def resized(call: LoneCall, axes: Axes, sizes: Mapping[str, int | Sequence[int]]) -> LoneCall:
    """The call with axes of another length: cut, or repeated.

    Args:
        call: the call.
        axes: of it.
        sizes: name of an axis → its length, or the places along it that stay.
    """
    arguments = dict(call.arguments)
    for name, size in sizes.items():
        for spot in axes[name]:
            value = arguments[spot.argument]
            if spot.element >= 0:
                listed = list(value)
                listed[spot.element] = _along(listed[spot.element], spot.axis, size)
                arguments[spot.argument] = listed
            elif isinstance(value, torch.Tensor):
                arguments[spot.argument] = _along(value, spot.axis, size)
            else:
                length = size if isinstance(size, int) else len(size)
                arguments[spot.argument] = length if isinstance(value, int) else _with(value, spot.axis, length)
    return repaired(call.changed(**arguments))


def repaired(call: LoneCall) -> LoneCall:
    """The call with those arguments fitted that follow from the others: of a backward what comes from its forward.

    Raises:
        RuntimeError: the host refuses the forward.
    """
    repair = _REPAIRS.get(call.name)
    return call if repair is None else repair(call)


def fitted(tensor: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """A tensor cut or repeated to a shape with as many axes, in its layout."""
    for axis, size in enumerate(shape):
        tensor = _along(tensor, axis, size)
    return tensor


def laid_like(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The tensor in the layout of another with as many axes: the order of the axes in memory, gaps, stretched axes."""
    if like.is_contiguous():
        return tensor.contiguous()
    stretched = [size > 1 and stride == 0 for size, stride in zip(like.shape, like.stride(), strict=True)]
    if any(stretched):
        one = tensor[tuple(slice(1) if each else slice(None) for each in stretched)]
        return one.contiguous().expand(tensor.shape)
    order = sorted(range(like.dim()), key=lambda axis: (-like.stride()[axis], axis))
    placed = tensor.permute(order)
    if like.stride()[order[-1]] > 1 and like.shape[order[-1]] > 1:  # gaps between elements
        wide = placed.new_zeros((*placed.shape, 2))
        wide[..., 0] = placed
        placed = wide[..., 0]
    else:
        placed = placed.contiguous()
    back = sorted(range(like.dim()), key=order.__getitem__)
    return placed.permute(back)


def _along(tensor: torch.Tensor, axis: int, size: int | Sequence[int]) -> torch.Tensor:
    places = torch.arange(size) % tensor.shape[axis] if isinstance(size, int) else torch.tensor(list(size))
    if isinstance(size, int) and size == tensor.shape[axis]:
        return tensor
    return laid_like(tensor.index_select(axis, places), tensor)


def _with(numbers: Sequence[int], place: int, number: int) -> list[int]:
    return [number if each == place else old for each, old in enumerate(numbers)]


def _shaped_as(gradient: str, forward: Callable[[LoneCall], torch.Tensor]) -> Callable[[LoneCall], LoneCall]:
    """A repair of the gradient that comes in: it has the shape of what the forward makes."""

    def repair(call: LoneCall) -> LoneCall:
        due = forward(call).shape
        return call.changed(**{gradient: fitted(call.arguments[gradient], due)})

    return repair


def _convolved(call: LoneCall) -> torch.Tensor:
    given = call.arguments
    x, weight = given["input"].to("meta"), given["weight"].to("meta")
    names = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
    made: torch.Tensor = torch.ops.aten.convolution(x, weight, None, *(given[name] for name in names))
    return made


def _averaged(call: LoneCall) -> torch.Tensor:
    names = ("self", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    made: torch.Tensor = torch.ops.aten.avg_pool2d(*(call.arguments[name] for name in names))
    return made


def _pooled(call: LoneCall) -> LoneCall:
    names = ("self", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
    made, indices = torch.ops.aten.max_pool2d_with_indices(*(call.arguments[name] for name in names))
    return call.changed(grad_output=fitted(call.arguments["grad_output"], made.shape), indices=indices)


_REPAIRS: Mapping[str, Callable[[LoneCall], LoneCall]] = {
    "convolution_backward": _shaped_as("grad_output", _convolved),
    "avg_pool2d_backward": _shaped_as("grad_output", _averaged),
    "max_pool2d_with_indices_backward": _pooled,
}
