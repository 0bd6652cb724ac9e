"""Operations as elementary steps: PyTorch's own decompositions, and those that it lacks.

What a step is matters only to how it is rounded; that the steps together are the operation is asked of each call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness.shadow.arithmetic.fused_attention import FUSED, compute_attention
from harness.shadow.arithmetic.synchronized import SYNCHRONIZED

__all__ = ["steps_of"]

_Tensor = torch.Tensor
_Steps = Callable[..., Any]


@functools.cache
def steps_of(op: Any) -> _Steps | None:
    """What computes an operation by elementary ones; None where nothing is known.

    Args:
        op: the operation, with its overload.
    """
    name = op._schema.name.partition("::")[2]
    if name.startswith(FUSED):
        return lambda *args, **kwargs: compute_attention(op, args, kwargs)
    if name in SYNCHRONIZED:
        return SYNCHRONIZED[name]
    if name in _RESIZED and op._overloadname == "default":
        return functools.partial(_resize_backward, cubic=_RESIZED[name])
    from torch._decomp import decomposition_table  # it takes a second to import, and few steps ask for it

    found: _Steps | None = decomposition_table.get(op)
    return found


_RESIZED = {
    "upsample_linear1d_backward": False,
    "upsample_bilinear2d_backward": False,
    "upsample_trilinear3d_backward": False,
    "upsample_bicubic2d_backward": True,
}
"""Backward of a resizing by weights → whether they are cubic."""


def _resize_backward(
    gradient: _Tensor, sizes: Sequence[int], before: Sequence[int], align: bool, *scales: float | None, cubic: bool
) -> _Tensor:
    """The gradient (B, C, *sizes) of a resizing of (B, C, *before): along each axis the transposed weights."""
    for axis, (after, size) in enumerate(zip(sizes, before[2:], strict=True)):
        scale = scales[axis] if axis < len(scales) else None
        weights = _weights(size, after, align, scale, cubic, gradient)
        gradient = torch.tensordot(gradient, weights, dims=([axis + 2], [0])).movedim(-1, axis + 2)
    return gradient


def _weights(size: int, after: int, align: bool, scale: float | None, cubic: bool, like: _Tensor) -> _Tensor:
    """(after, size): the weights that each element of a resized axis takes of the axis.

    Linear ones, or those of cubic convolution with a = −¾ (R. G. Keys, "Cubic convolution interpolation for digital
    image processing", 1981, equation 15). Beyond the ends stands the last element.
    """
    places = torch.arange(after, dtype=like.dtype, device=like.device)
    if align:
        places = places * ((size - 1) / (after - 1) if after > 1 else 0.0)
    else:
        places = (places + 0.5) * (1 / scale if scale else size / after) - 0.5
    if not cubic:
        places = places.clamp_min(0.0)
    first = places.floor()
    t = places - first
    if cubic:
        a = -0.75
        near = [((a + 2) * x - (a + 3)) * x * x + 1 for x in (t, 1 - t)]
        far = [((a * x - 5 * a) * x + 8 * a) * x - 4 * a for x in (t + 1, 2 - t)]
        shares = {-1: far[0], 0: near[0], 1: near[1], 2: far[1]}
    else:
        shares = {0: 1 - t, 1: t}
    weights = torch.zeros(after, size, dtype=like.dtype, device=like.device)
    for step, share in shares.items():
        column = (first.long() + step).clamp(0, size - 1)
        weights.scatter_add_(1, column[:, None], share[:, None])
    return weights
