"""Synchronized batch norm's operations for the host, which PyTorch has for accelerators only.

Written from PyTorch's description of them and Ioffe & Szegedy 2015 (arXiv 1502.03167, section 3), with the mean μ and
the variance σ² of all processes' samples: y = γ (x − μ) / √(σ² + ε) + β, and its gradient through μ and σ² too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

__all__ = ["SYNCHRONIZED"]

Tensor = torch.Tensor


def _rows(x: Tensor) -> Tensor:
    """(N, C, …) as (C, everything else)."""
    return x.transpose(0, 1).flatten(1)


def _as(x: Tensor, rows: Tensor) -> Tensor:
    """(C, everything else) as x (N, C, …)."""
    return rows.view(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1)


def _stats(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    rows = _rows(x)
    mean = rows.mean(1)
    return mean, 1 / ((rows - mean[:, None]).square().mean(1) + eps).sqrt()


def _gather(
    x: Tensor,
    means: Tensor,
    deviations: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
    counts: Tensor,
) -> tuple[Tensor, Tensor]:
    """Means and inverse deviations (processes, C) and counts (processes,) → those of all samples, (C,) each."""
    share = (counts / counts.sum())[:, None]
    mean = (share * means).sum(0)
    second = (share * (1 / deviations.square() - eps + means.square())).sum(0)
    variance = second - mean.square()
    total = float(counts.sum())
    if running_mean is not None:
        running_mean.copy_((1 - momentum) * running_mean + momentum * mean)
    if running_var is not None:
        running_var.copy_((1 - momentum) * running_var + momentum * variance * total / (total - 1))
    return mean, 1 / (variance + eps).sqrt()


def _normalize(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, deviation: Tensor, eps: float
) -> Tensor:
    rows = (_rows(x) - mean[:, None]) * deviation[:, None]
    rows = rows if weight is None else rows * weight[:, None]
    return _as(x, rows if bias is None else rows + bias[:, None])


def _reduce_backward(
    gradient: Tensor,
    x: Tensor,
    mean: Tensor,
    deviation: Tensor,
    weight: Tensor | None,
    of_input: bool,
    of_weight: bool,
    of_bias: bool,
) -> tuple[Tensor | None, ...]:
    """Σ g and Σ g (x − μ) over this process's samples, and its gradients of γ and β, (C,) each."""
    rows = _rows(gradient)
    total, moment = rows.sum(1), (rows * (_rows(x) - mean[:, None])).sum(1)
    return (
        total if of_input else None,
        moment if of_input else None,
        moment * deviation if of_weight else None,
        total.clone() if of_bias else None,
    )


def _normalize_backward(
    gradient: Tensor,
    x: Tensor,
    mean: Tensor,
    deviation: Tensor,
    weight: Tensor | None,
    total: Tensor,
    moment: Tensor,
    count: Tensor,
) -> Tensor:
    """∂x from Σ g and Σ g (x − μ) over all processes' samples, whose numbers are in ``count``."""
    samples = float(count.sum())
    normal = (_rows(x) - mean[:, None]) * deviation[:, None]
    inner = _rows(gradient) - (total / samples)[:, None] - normal * (moment * deviation / samples)[:, None]
    scale = deviation if weight is None else deviation * weight
    return _as(x, inner * scale[:, None])


SYNCHRONIZED: Mapping[str, Callable[..., object]] = {
    "batch_norm_stats": _stats,
    "batch_norm_gather_stats_with_counts": _gather,
    "batch_norm_elemt": _normalize,
    "batch_norm_backward_reduce": _reduce_backward,
    "batch_norm_backward_elemt": _normalize_backward,
}
"""Operation → what the host computes for it, in the dtype of its arguments."""
