"""Sums in another order than the CPU's, where no mantissa is cut: batch norm, softmax, reductions.

Each is the same maths: what is summed is read from its other end, or the same terms are associated differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper

__all__ = ["OPERATIONS"]

Tensor = torch.Tensor


def _batch_norm(run: Run, x: Tensor, weight: Tensor | None, bias: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
    """(x − mean) · scale + bias, where the CPU has x · scale + (bias − mean · scale)."""
    y, mean, invstd = run(x, weight, bias, *rest)
    training = rest[2]
    if not training or x.dtype is not torch.float32:
        return y, mean, invstd
    shape = (1, -1, *[1] * (x.dim() - 2))
    scale = invstd if weight is None else invstd * weight
    y = (x - mean.view(shape)).mul_(scale.view(shape))
    return y if bias is None else y.add_(bias.view(shape)), mean, invstd


def _batch_norm_backward(run: Run, grad: Tensor, x: Tensor, *rest: Any) -> tuple[Tensor | None, ...]:
    """Samples and pixels are summed from the last to the first."""
    summed = (0, *range(2, x.dim()))
    dx, dw, db = run(grad.flip(summed), x.flip(summed), *rest)
    return None if dx is None else dx.flip(summed), dw, db


def _softmax(run: Run, x: Tensor, dim: int, *rest: Any) -> Tensor:
    y: Tensor = run(x.flip(dim), dim, *rest) if x.dim() else run(x, dim, *rest)
    return y.flip(dim) if x.dim() else y


def _reduction(run: Run, x: Tensor, dims: Any = None, *rest: Any, **kwargs: Any) -> Tensor:
    axes = range(x.dim()) if dims is None or dims == [] else dims if isinstance(dims, (list, tuple)) else [dims]
    flipped = x.flip(tuple(axes)) if x.is_floating_point() and x.dim() else x
    total: Tensor = run(flipped, *rest, **kwargs) if dims is None else run(flipped, dims, *rest, **kwargs)
    return total


OPERATIONS: Mapping[str, Wrapper] = MappingProxyType(
    {
        "native_batch_norm": _batch_norm,
        "native_batch_norm_backward": _batch_norm_backward,
        "_softmax": _softmax,
        "_log_softmax": _softmax,
        "sum": _reduction,
        "mean": _reduction,
    }
)
