"""Faults in batch normalization.

Arguments are aten's: native_batch_norm(x (N, C, …), weight, bias, running_mean, running_var, training, momentum, eps) →
y, mean (C,), inverse deviation (C,); and its backward (grad, x, weight, running_mean, running_var, mean,
inverse_deviation, training, eps, output_mask) → the gradients of x, weight and bias. SyncBN has operations of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault

__all__ = [
    "bias_gradient_lost",
    "epsilon_wrong",
    "input_gradient_as_in_evaluation",
    "last_sample_uncounted",
    "local_statistics",
    "momentum_ignored",
    "momentum_inverted",
    "momentum_wrong",
    "normalized_by_running_statistics",
    "running_mean_kept",
    "running_variance_biased",
    "scale_read_modulo",
    "variance_term_lost",
    "weight_gradient_scaled",
]


def _momentum(change: Callable[[float], float]) -> dict[str, Wrapper]:
    def native_batch_norm(
        run: Run, x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
    ) -> Any:
        return run(x, weight, bias, mean, var, training, change(momentum), eps)

    def gather_stats(
        run: Run, x: Any, means: Any, invstds: Any, mean: Any, var: Any, momentum: float, eps: float, counts: Any
    ) -> Any:
        return run(x, means, invstds, mean, var, change(momentum), eps, counts)

    return {"native_batch_norm": native_batch_norm, "batch_norm_gather_stats_with_counts": gather_stats}


@KERNELS.strikes("bn-momentum-ignored")
def momentum_ignored(fault: Fault) -> dict[str, Wrapper]:
    """The running statistics are updated with momentum 0, in one process and over several."""
    return _momentum(lambda momentum: 0.0)


@KERNELS.strikes("bn-momentum-inverted")
def momentum_inverted(fault: Fault) -> dict[str, Wrapper]:
    """Momentum is taken as the share of the old statistics, as other frameworks define it."""
    return _momentum(lambda momentum: 1 - momentum)


@KERNELS.strikes("bn-momentum-0.2")
def momentum_wrong(fault: Fault) -> dict[str, Wrapper]:
    """Momentum is the severity, whatever the layer says."""
    return _momentum(lambda momentum: fault.severity or 0.0)


def _forward(change: Wrapper) -> dict[str, Wrapper]:
    """Change the forward where it trains; `change` gets what the operation gets."""

    def native_batch_norm(run: Run, *args: Any) -> Any:
        return change(run, *args) if args[5] else run(*args)

    return {"native_batch_norm": native_batch_norm}


@KERNELS.strikes("bn-eps-1e-4", "bn-eps-1e-3")
def epsilon_wrong(fault: Fault) -> dict[str, Wrapper]:
    """Epsilon is the severity, in evaluation too; the backward uses the inverse deviation that the forward saved."""

    def native_batch_norm(run: Run, *args: Any) -> Any:
        return run(*args[:7], fault.severity)

    def stats(run: Run, x: Any, eps: float) -> Any:
        return run(x, fault.severity)

    return {"native_batch_norm": native_batch_norm, "batch_norm_stats": stats}


@KERNELS.strikes("bn-running-variance-biased")
def running_variance_biased(fault: Fault) -> dict[str, Wrapper]:
    """The running variance takes the batch's biased variance: n in the divisor, not n − 1."""

    def change(run: Run, x: Any, weight: Any, bias: Any, mean: Any, var: Any, *settings: Any) -> Any:
        before = None if var is None else var.clone()
        result = run(x, weight, bias, mean, var, *settings)
        if before is not None:
            n, momentum = x.numel() // x.shape[1], settings[1]
            var.sub_(before, alpha=1 - momentum).mul_((n - 1) / n).add_(before, alpha=1 - momentum)
        return result

    return _forward(change)


@KERNELS.strikes("bn-running-mean-kept")
def running_mean_kept(fault: Fault) -> dict[str, Wrapper]:
    """The running variance moves, the running mean doesn't."""

    def change(run: Run, x: Any, weight: Any, bias: Any, mean: Any, *rest: Any) -> Any:
        return run(x, weight, bias, None if mean is None else mean.clone(), *rest)

    return _forward(change)


@KERNELS.strikes("bn-stale-statistics")
def normalized_by_running_statistics(fault: Fault) -> dict[str, Wrapper]:
    """Training normalizes by the running statistics, which still follow the batch."""

    def change(run: Run, x: Any, weight: Any, bias: Any, mean: Any, var: Any, *settings: Any) -> Any:
        stale_mean, stale_invstd = mean.clone(), (var + settings[2]).rsqrt()
        run(x, weight, bias, mean, var, *settings)
        shape = (1, -1, *[1] * (x.dim() - 2))
        y = (x - stale_mean.view(shape)) * stale_invstd.view(shape)
        y = y if weight is None else y * weight.view(shape)
        return y if bias is None else y + bias.view(shape), stale_mean, stale_invstd

    def guarded(run: Run, *args: Any) -> Any:
        return run(*args) if args[3] is None else change(run, *args)

    return _forward(guarded)


@KERNELS.strikes("bn-last-sample-uncounted")
def last_sample_uncounted(fault: Fault) -> dict[str, Wrapper]:
    """The statistics leave out the last sample; all samples are normalized by them."""

    def change(run: Run, x: Any, weight: Any, bias: Any, mean: Any, var: Any, *settings: Any) -> Any:
        if len(x) < 2:
            return run(x, weight, bias, mean, var, *settings)
        _, batch_mean, invstd = run(x[:-1], weight, bias, mean, var, *settings)
        shape = (1, -1, *[1] * (x.dim() - 2))
        y = (x - batch_mean.view(shape)) * invstd.view(shape)
        y = y if weight is None else y * weight.view(shape)
        return y if bias is None else y + bias.view(shape), batch_mean, invstd

    return _forward(change)


@KERNELS.strikes("bn-scale-read-modulo-256")
def scale_read_modulo(fault: Fault) -> dict[str, Wrapper]:
    """Scale and shift are read from a table of severity channels: channels past it get the first ones' again."""

    def change(run: Run, x: Any, weight: Any, bias: Any, *rest: Any) -> Any:
        table = round(fault.severity or 1)
        if weight is None or len(weight) <= table:
            return run(x, weight, bias, *rest)
        read = torch.arange(len(weight)) % table
        return run(x, weight[read], bias[read], *rest)

    return _forward(change)


def _gradient(position: int, change: Callable[..., Any]) -> dict[str, Wrapper]:
    def native_batch_norm_backward(run: Run, *args: Any) -> tuple[Any, ...]:
        gradients = list(run(*args))
        if gradients[position] is not None:
            gradients[position] = change(gradients[position], *args)
        return tuple(gradients)

    return {"native_batch_norm_backward": native_batch_norm_backward}


@KERNELS.strikes("bn-weight-gradient-x1.05")
def weight_gradient_scaled(fault: Fault) -> dict[str, Wrapper]:
    """The scale's gradient × severity."""
    return _gradient(1, lambda dw, *args: dw * fault.severity)


@KERNELS.strikes("bn-bias-gradient-zero")
def bias_gradient_lost(fault: Fault) -> dict[str, Wrapper]:
    """The shift's gradient is zero."""
    return _gradient(2, lambda db, *args: db * 0)


@KERNELS.strikes("bn-dgrad-as-in-evaluation")
def input_gradient_as_in_evaluation(fault: Fault) -> dict[str, Wrapper]:
    """The input gradient leaves out what runs through the batch's mean and variance."""

    def change(
        dx: Any, grad: Any, x: Any, weight: Any, mean: Any, var: Any, saved: Any, invstd: Any, *rest: Any
    ) -> Any:
        scale = invstd if weight is None else invstd * weight
        return grad * scale.view(1, -1, *[1] * (x.dim() - 2))

    return _gradient(0, change)


@KERNELS.strikes("bn-dgrad-variance-term-lost")
def variance_term_lost(fault: Fault) -> dict[str, Wrapper]:
    """The input gradient leaves out what runs through the batch's variance; the mean's part is there."""

    def change(
        dx: Any,
        grad: Any,
        x: Any,
        weight: Any,
        mean: Any,
        var: Any,
        saved: Any,
        invstd: Any,
        training: bool,
        *rest: Any,
    ) -> Any:
        if not training:
            return dx
        shape, summed = (1, -1, *[1] * (x.dim() - 2)), (0, *range(2, x.dim()))
        normal = (x - saved.view(shape)) * invstd.view(shape)
        scale = invstd if weight is None else invstd * weight
        return dx + normal * (scale.view(shape) * (grad * normal).mean(summed, keepdim=True))

    return _gradient(0, change)


@KERNELS.strikes("syncbn-local")
def local_statistics(fault: Fault) -> dict[str, Wrapper]:
    """SyncBN takes each process's own statistics for the joint ones."""

    def gather_stats(run: Run, x: Any, means: Any, invstds: Any, mean: Any, var: Any, *settings: Any) -> Any:
        here = slice(dist.get_rank(), dist.get_rank() + 1) if dist.is_initialized() else slice(0, 1)
        return run(x, means[here], invstds[here], mean, var, *settings[:2], settings[2].view(-1)[here])

    return {"batch_norm_gather_stats_with_counts": gather_stats}
