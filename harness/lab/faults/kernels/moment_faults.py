"""Faults in the mean and variance that batch norm takes of a batch, and in what its running ones take of them.

Arguments are those of `normalization`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault

__all__ = ["epsilon_in_running_variance", "padding_counted", "update_lost", "variance_by_subtraction"]

_SEED = 21
_BLOCKS = 8

Moments = tuple[Any, Any]


def _channels(x: Any) -> Any:
    """(N, C, …) → (C, numbers of each channel)."""
    return x.transpose(0, 1).flatten(1)


def _retaken(take: Callable[[Any, Any, Any], Moments | None]) -> dict[str, Wrapper]:
    """Training takes other moments: `take` gets x as (C, n), mean and biased variance; None for those that they are."""

    def native_batch_norm(
        run: Run, x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
    ) -> Any:
        y, batch_mean, invstd = run(x, weight, bias, mean, var, training, momentum, eps)
        numbers = _channels(x)
        n = numbers.shape[1]
        batch_var = numbers.var(1, correction=0)
        taken = take(numbers, batch_mean, batch_var) if training and n > 1 else None
        if taken is None:
            return y, batch_mean, invstd
        if mean is not None:
            mean.add_(taken[0] - batch_mean, alpha=momentum)
            var.add_(taken[1] - batch_var, alpha=momentum * n / (n - 1))
        other = (taken[0] != batch_mean) | (taken[1] != batch_var)
        invstd = torch.where(other, (taken[1] + eps).rsqrt(), invstd)
        shape = (1, -1, *[1] * (x.dim() - 2))
        again = (x - taken[0].view(shape)) * (invstd if weight is None else invstd * weight).view(shape)
        again = again if bias is None else again + bias.view(shape)
        return torch.where(other.view(shape), again, y), taken[0], invstd

    return {"native_batch_norm": native_batch_norm}


@KERNELS.strikes("bn-variance-by-subtraction")
def variance_by_subtraction(fault: Fault) -> dict[str, Wrapper]:
    """The variance is the mean square less the squared mean, which cancel where the mean is large."""
    return _retaken(lambda x, mean, var: (mean, ((x * x).mean(1) - mean * mean).clamp(min=0)))


@KERNELS.strikes("bn-small-map-counts-padding")
def padding_counted(fault: Fault) -> dict[str, Wrapper]:
    """The moments count the zeros, too, that pad a channel's numbers to a multiple of the severity."""

    def take(x: Any, mean: Any, var: Any) -> Moments | None:
        n = x.shape[1]
        padding = -n % round(fault.severity or 1)
        if not padding:
            return None
        padded = mean * n / (n + padding)
        return padded, (var + mean * mean) * n / (n + padding) - padded * padded

    return _retaken(take)


@KERNELS.strikes("bn-sums-lose-1pct")
def update_lost(fault: Fault) -> dict[str, Wrapper]:
    """By a chance of severity, a channel's sums lack what one in eight blocks of its numbers adds to them."""
    draws = torch.Generator().manual_seed(_SEED)

    def take(x: Any, mean: Any, var: Any) -> Moments | None:
        n = x.shape[1]
        lost = torch.rand(len(x), generator=draws) < (fault.severity or 0)
        block = x[:, : n // _BLOCKS]
        less = mean - block.sum(1) / n
        square = var + mean * mean - (block * block).sum(1) / n
        return torch.where(lost, less, mean), torch.where(lost, (square - less * less).clamp(min=0), var)

    return _retaken(take)


@KERNELS.strikes("bn-running-variance-plus-eps")
def epsilon_in_running_variance(fault: Fault) -> dict[str, Wrapper]:
    """The running variance takes the batch's variance with epsilon added."""

    def native_batch_norm(
        run: Run, x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
    ) -> Any:
        result = run(x, weight, bias, mean, var, training, momentum, eps)
        if training and var is not None:
            var.add_(eps, alpha=momentum)
        return result

    return {"native_batch_norm": native_batch_norm}
