"""How many terms each element of a result sums: what the rounding of an accumulator grows with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.shadow.arithmetic.fused_attention import FUSED
from harness.shadow.arithmetic.host import tensors_of

__all__ = ["BILINEAR", "OF_MANY", "count_terms", "host_bytes", "operands_of"]

BILINEAR = {
    "convolution": (0, 1),
    "cudnn_convolution": (0, 1),
    "mkldnn_convolution": (0, 1),
    "mm": (0, 1),
    "bmm": (0, 1),
    "mv": (0, 1),
    "dot": (0, 1),
    "addmm": (1, 2),
    "baddbmm": (1, 2),
    "addmv": (1, 2),
    "convolution_overrideable": (0, 1),
}
"""Operations that sum products of two operands → the positions of those operands."""


def operands_of(name: str, args: Sequence[Any]) -> list[torch.Tensor]:
    """The two tensors that a call multiplies and sums over; none for an operation that doesn't."""
    if name == "convolution_backward":
        return [args[0], args[1], args[2]]
    return [args[place] for place in BILINEAR.get(name, ())]


OF_MANY = ("_foreach_", "_fused_", "_amp_foreach_")
"""How the names begin of operations that treat many tensors, each element by itself but for norms."""

_SCANS = frozenset({"cumsum", "cumsum_", "cumprod", "logcumsumexp", "_cumsum"})
"""Operations whose last element along an axis sums all of it."""

_ADDED_UP: Mapping[str, int] = {
    "embedding_dense_backward": 1,
    "index_add": 2,
    "index_add_": 2,
    "scatter_add": 2,
    "scatter_add_": 2,
    "scatter_reduce": 2,
    "scatter_reduce_": 2,
    "index_put": 1,
    "index_put_": 1,
    "_unsafe_index_put": 1,
    "_index_put_impl_": 1,
    "_embedding_bag_dense_backward": 1,
}
"""Operations that add up what has the same index → the position of the indices."""

_LARGEST_INDEX = 1 << 20
"""Indices that are counted at most."""

_NORMALIZATIONS = ("batch_norm", "group_norm")


def count_terms(name: str, args: Sequence[Any], result: torch.Tensor, place: int) -> float:
    """Terms in the sum behind each element of a result.

    Args:
        name: the operation's.
        args: its positional arguments.
        result: one of its results.
        place: which of its results, from 0.

    Returns:
        At least 1; exact for products, an upper estimate for reductions, 1 for elementwise operations.
    """
    if name.startswith(OF_MANY):
        return 1.0
    if name == "convolution_backward":
        return _of_convolution_gradient(args[0], args[1], args[2], place)
    if name.endswith("convolution"):
        return _of_convolution(name, args)
    if name in BILINEAR:
        return float(args[BILINEAR[name][0]].shape[-1])
    return max(_of_reduction(name, args, result), _of_repeats(name, args))


def host_bytes(name: str, args: Sequence[Any]) -> int:
    """About how much memory the host needs to compute a call again: float64 copies, a result, a convolution's columns.

    Args:
        name: the operation's.
        args: its positional arguments.
    """
    elements = 3 * sum(tensor.numel() for tensor in tensors_of(list(args)))
    if "convolution" in name:
        x, weight = (args[1], args[2]) if name.endswith("backward") else (args[0], args[1])
        elements += math.prod(weight.shape[1:]) * math.prod(x.shape[2:])
    return 8 * elements


def _of_reduction(name: str, args: Sequence[Any], result: torch.Tensor) -> float:
    """As many as the largest input has for each element of the result, or what the operation normalizes over."""
    if name.startswith(FUSED):
        tensors = list(tensors_of(list(args)))
        query, key = tensors[1:3] if "backward" in name else tensors[:2]
        return float(query.shape[-1] + query.shape[-2] + key.shape[-2])
    if "softmax" in name or name in _SCANS:
        axis = next((value for value in args[1:] if isinstance(value, int)), -1)
        return float(args[0].shape[axis]) if args[0].dim() else 1.0
    largest = max((tensor.numel() for tensor in tensors_of(list(args))), default=1)
    if any(word in name for word in _NORMALIZATIONS):
        channels = args[0].shape[1] if args[0].dim() > 1 else 1
        return max(1.0, largest / max(1, channels))
    return max(1.0, largest / max(1, result.numel()))


def _of_repeats(name: str, args: Sequence[Any]) -> float:
    """How often the most frequent index stands among the first ones; of several index tensors as many as there are."""
    indices = list(tensors_of(args[_ADDED_UP[name]])) if name in _ADDED_UP and len(args) > _ADDED_UP[name] else []
    if not indices or not indices[0].numel():
        return 1.0
    if len(indices) > 1 or indices[0].dtype is torch.bool:
        return float(max(index.numel() for index in indices))
    flat = indices[0].detach().reshape(-1)[:_LARGEST_INDEX].cpu()
    counts: torch.Tensor = flat.unique(return_counts=True)[1]
    return float(counts.max())


def _of_convolution(name: str, args: Sequence[Any]) -> float:
    """Of a transposed one the weight's first axis is summed over, shared out over the groups."""
    weight = args[1]
    transposed = name in _SAYS_TRANSPOSED and len(args) > 8 and bool(args[6])
    if not transposed:
        return float(weight[0].numel())
    return max(1.0, float(weight.numel() / max(1, weight.shape[1]) / max(1, int(args[8]))))


_SAYS_TRANSPOSED = frozenset({"convolution", "convolution_overrideable"})


def _of_convolution_gradient(gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, place: int) -> float:
    products = gradient.numel() * weight[0].numel()
    pixels = gradient.numel() / max(1, gradient.shape[1])
    return max(1.0, (products / max(1, x.numel()), products / max(1, weight.numel()), pixels)[max(place, 0)])
