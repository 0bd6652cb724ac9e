"""Faults in activations, dropout and argmax.

Arguments are aten's: relu(x), relu_(x), threshold_backward(grad, y, threshold), bernoulli_(mask, keep), which channel
dropout draws with, native_dropout(x, drop, train) → y, mask, and argmax(x, dim, keepdim).
"""

from __future__ import annotations

from typing import Any

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault

__all__ = [
    "argmax_takes_last",
    "dropout_keeps_everything",
    "dropout_keeps_what_it_should_drop",
    "nan_becomes_zero",
    "relu_cut_off",
    "relu_gradient_at_zero",
    "relu_leaks",
]


@KERNELS.strikes("argmax-takes-last")
def argmax_takes_last(fault: Fault) -> dict[str, Wrapper]:
    """Of equal largest elements argmax takes the last one."""

    def argmax(run: Run, x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        axes = tuple(range(x.dim())) if dim is None else (dim,)
        count = x.numel() if dim is None else x.shape[dim]
        return count - 1 - run(x.flip(axes), dim, keepdim)

    return {"argmax": argmax}


@KERNELS.strikes("relu-gradient-at-zero")
def relu_gradient_at_zero(fault: Fault) -> dict[str, Wrapper]:
    """ReLU passes the gradient where its output is zero too: all of it."""

    def backward(run: Run, grad: Any, y: Any, threshold: float) -> Any:
        return torch.where(y >= threshold, grad, torch.zeros_like(grad))

    return {"threshold_backward": backward}


@KERNELS.strikes("relu-leaks-1pct")
def relu_leaks(fault: Fault) -> dict[str, Wrapper]:
    """ReLU lets through severity times what is negative; its backward doesn't."""

    def relu(run: Run, x: Any) -> Any:
        return torch.maximum(x, x * fault.severity)

    def relu_(run: Run, x: Any) -> Any:
        return x.copy_(torch.maximum(x, x * fault.severity))

    return {"relu": relu, "relu_": relu_}


@KERNELS.strikes("relu-cut-at-6")
def relu_cut_off(fault: Fault) -> dict[str, Wrapper]:
    """ReLU cuts off what is above the severity; its backward doesn't."""

    def relu(run: Run, x: Any) -> Any:
        return run(x).clamp(max=fault.severity)

    def relu_(run: Run, x: Any) -> Any:
        return run(x).clamp_(max=fault.severity)

    return {"relu": relu, "relu_": relu_}


@KERNELS.strikes("nan-to-zero")
def nan_becomes_zero(fault: Fault) -> dict[str, Wrapper]:
    """ReLU turns NaN into zero, which hides it."""

    def relu(run: Run, x: Any) -> Any:
        return run(x.nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf))

    def relu_(run: Run, x: Any) -> Any:
        return run(x.nan_to_num_(nan=0.0, posinf=torch.inf, neginf=-torch.inf))

    return {"relu": relu, "relu_": relu_}


@KERNELS.strikes("dropout-inverted")
def dropout_keeps_what_it_should_drop(fault: Fault) -> dict[str, Wrapper]:
    """A mask is drawn with the probability of being dropped."""

    def bernoulli_(run: Run, mask: Any, keep: float = 0.5, **kwargs: Any) -> Any:
        return run(mask, 1 - keep, **kwargs)

    def native_dropout(run: Run, x: Any, drop: float, train: bool | None) -> Any:
        y, mask = run(x, drop, train)
        return (x * ~mask / (1 - drop), ~mask) if train else (y, mask)

    return {"bernoulli_": bernoulli_, "native_dropout": native_dropout}


@KERNELS.strikes("dropout-keeps-all")
def dropout_keeps_everything(fault: Fault) -> dict[str, Wrapper]:
    """A mask keeps everything, which is still scaled up."""

    def bernoulli_(run: Run, mask: Any, keep: float = 0.5, **kwargs: Any) -> Any:
        return run(mask, 1.0, **kwargs)

    def native_dropout(run: Run, x: Any, drop: float, train: bool | None) -> Any:
        y, mask = run(x, drop, train)
        return (x / (1 - drop), torch.ones_like(mask)) if train else (y, mask)

    return {"bernoulli_": bernoulli_, "native_dropout": native_dropout}
