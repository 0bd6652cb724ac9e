"""How many terms each element of a result sums: what the rounding of an accumulator grows with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from harness.shadow.host import tensors_of

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
}
"""Operations that sum products of two operands → the positions of those operands."""


def operands_of(name: str, args: Sequence[Any]) -> list[torch.Tensor]:
    """The two tensors that a call multiplies and sums over; none for an operation that doesn't."""
    if name == "convolution_backward":
        return [args[0], args[1], args[2]]
    return [args[place] for place in BILINEAR.get(name, ())]


OF_MANY = ("_foreach_", "_fused_", "_amp_foreach_")
"""How the names begin of operations that treat many tensors, each element by itself but for norms."""

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
        return float(args[1][0].numel())
    if name in BILINEAR:
        return float(args[BILINEAR[name][0]].shape[-1])
    return _of_reduction(name, args, result)


def host_bytes(name: str, args: Sequence[Any]) -> int:
    """About how much memory the host needs to compute a call again: float64 copies, a result, a convolution's columns.

    Args:
        name: the operation's.
        args: its positional arguments.
    """
    elements = 3 * sum(tensor.numel() for tensor in tensors_of(list(args)))
    if "convolution" in name:
        x, weight = (args[1], args[2]) if name.endswith("backward") else (args[0], args[1])
        elements += weight[0].numel() * x[0, 0].numel()
    return 8 * elements


def _of_reduction(name: str, args: Sequence[Any], result: torch.Tensor) -> float:
    """As many as the largest input has for each element of the result, or what the operation normalizes over."""
    if "softmax" in name:
        axis = next((value for value in args[1:] if isinstance(value, int)), -1)
        return float(args[0].shape[axis]) if args[0].dim() else 1.0
    largest = max((tensor.numel() for tensor in tensors_of(list(args))), default=1)
    if any(word in name for word in _NORMALIZATIONS):
        channels = args[0].shape[1] if args[0].dim() > 1 else 1
        return max(1.0, largest / max(1, channels))
    return max(1.0, largest / max(1, result.numel()))


def _of_convolution_gradient(gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, place: int) -> float:
    products = gradient.numel() * weight[0].numel()
    pixels = gradient.numel() / max(1, gradient.shape[1])
    return max(1.0, (products / max(1, x.numel()), products / max(1, weight.numel()), pixels)[max(place, 0)])
