"""SyncBatchNorm's five operations, which PyTorch has for accelerators only.

The names are aten's; the maths is Ioffe & Szegedy 2015 (arXiv 1502.03167, section 3), with the batch's moments joined
over processes: mean = Σ nᵢ mᵢ / N and variance = Σ nᵢ (vᵢ + (mᵢ − mean)²) / N.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper

__all__ = ["OPERATIONS"]

Tensor = torch.Tensor


def _over_channels(vector: Tensor, like: Tensor) -> Tensor:
    """(C,) seen as (1, C, 1, …), to broadcast over `like`."""
    return vector.view(1, -1, *[1] * (like.dim() - 2))


def _axes(x: Tensor) -> list[int]:
    return [0, *range(2, x.dim())]


def _stats(run: Run, x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Over x (N, C, …): mean (C,) and inverse standard deviation (C,)."""
    variance, mean = torch.var_mean(x.float(), _axes(x), correction=0)
    return mean, (variance + eps).rsqrt()


def _gather_stats(
    run: Run,
    x: Tensor,
    means: Tensor,
    invstds: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
    counts: Tensor,
) -> tuple[Tensor, Tensor]:
    """From means and invstds (world, C) and counts (world,): the joint mean and inverse deviation, each (C,)."""
    n = counts.view(-1, 1).float()
    total = n.sum()
    mean = (means * n).sum(0) / total
    variance = ((invstds**-2 - eps + (means - mean) ** 2) * n).sum(0) / total
    if running_mean is not None:
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
    if running_var is not None:
        running_var.lerp_((variance * total / (total - 1)).to(running_var.dtype), momentum)
    return mean, (variance + eps).rsqrt()


def _normalize(
    run: Run, x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, invstd: Tensor, eps: float
) -> Tensor:
    y = (x.float() - _over_channels(mean, x)) * _over_channels(invstd, x)
    if weight is not None:
        y = y * _over_channels(weight, x)
    if bias is not None:
        y = y + _over_channels(bias, x)
    return y.to(x.dtype)


def _backward_reduce(
    run: Run,
    grad: Tensor,
    x: Tensor,
    mean: Tensor,
    invstd: Tensor,
    weight: Tensor | None,
    needs_input: bool,
    needs_weight: bool,
    needs_bias: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Σ g and Σ g (x − mean), each (C,), and this process's gradients of weight and bias."""
    g = grad.float()
    total = g.sum(_axes(g))
    total_x = (g * (x.float() - _over_channels(mean, x))).sum(_axes(g))
    return total, total_x, total_x * invstd if needs_weight else None, total.clone() if needs_bias else None


def _backward_normalize(
    run: Run,
    grad: Tensor,
    x: Tensor,
    mean: Tensor,
    invstd: Tensor,
    weight: Tensor | None,
    total: Tensor,
    total_x: Tensor,
    count: Tensor,
) -> Tensor:
    n = count.sum()
    centred = x.float() - _over_channels(mean, x)
    inner = grad.float() - _over_channels(total / n, x) - centred * _over_channels(invstd**2 * total_x / n, x)
    scale = invstd if weight is None else invstd * weight
    return (inner * _over_channels(scale, x)).to(x.dtype)


OPERATIONS: Mapping[str, Wrapper] = MappingProxyType(
    {
        "batch_norm_stats": _stats,
        "batch_norm_gather_stats_with_counts": _gather_stats,
        "batch_norm_elemt": _normalize,
        "batch_norm_backward_reduce": _backward_reduce,
        "batch_norm_backward_elemt": _backward_normalize,
    }
)
