"""Faults in convolution and its gradients.

Arguments are aten's: convolution(x (N, C, H, W), weight (K, C, R, S), bias, stride, padding, dilation, transposed,
output_padding, groups) and convolution_backward(grad, x, weight, bias_sizes, …the same…, output_mask) → the gradients
of x, weight and bias, each None where the mask doesn't ask for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.nn import functional

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault
from harness.lab.faults.kernels.call_counts import CallCounter, LastTime

__all__ = [
    "bias_by_sample",
    "bias_dropped",
    "bias_gradient_lost",
    "input_gradient_of_strided_spread",
    "input_gradient_scaled",
    "input_gradient_tail_unwritten",
    "padding_at_end",
    "padding_replicated",
    "weight_gradient_of_last_sample_lost",
    "weight_gradient_rotated",
    "weight_gradient_scaled",
    "weight_gradient_scaled_in_one_layer",
    "weight_gradient_stale",
    "weight_gradient_stale_in_one_layer",
]

# Counted in the order of the backward: the fourth convolution from the loss, in a head rather than a classifier.
_LAYER = 3


def _gradient(position: int, change: Callable[..., Any]) -> dict[str, Wrapper]:
    """Change one of the three gradients; `change` gets it and the arguments."""

    def convolution_backward(run: Run, *args: Any) -> tuple[Any, ...]:
        gradients = list(run(*args))
        if gradients[position] is not None:
            gradients[position] = change(gradients[position], *args)
        return tuple(gradients)

    return {"convolution_backward": convolution_backward}


@KERNELS.strikes("conv-wgrad-x1.05", "conv-wgrad-x1.01", "conv-wgrad-x1.5")
def weight_gradient_scaled(fault: Fault) -> dict[str, Wrapper]:
    """Every weight gradient × severity."""
    return _gradient(1, lambda dw, *args: dw * fault.severity)


@KERNELS.strikes("conv-wgrad-layer-x1.01", "conv-wgrad-layer-x1.5", "conv-wgrad-layer-zero")
def weight_gradient_scaled_in_one_layer(fault: Fault) -> dict[str, Wrapper]:
    """The weight gradient of one layer × severity."""
    calls = CallCounter()
    return _gradient(1, lambda dw, *args: dw * fault.severity if calls.number() == _LAYER else dw)


@KERNELS.strikes("conv-wgrad-stale-2pct")
def weight_gradient_stale(fault: Fault) -> dict[str, Wrapper]:
    """A share of each weight gradient, the severity, is the last iteration's."""
    calls, last = CallCounter(), LastTime()

    def change(dw: Any, *args: Any) -> Any:
        old = last.swap(calls.number(), dw)
        return dw if old is None else dw.lerp(old, fault.severity)

    return _gradient(1, change)


@KERNELS.strikes("conv-wgrad-layer-stale")
def weight_gradient_stale_in_one_layer(fault: Fault) -> dict[str, Wrapper]:
    """One layer's weight gradient is the last iteration's."""
    calls, last = CallCounter(), LastTime()

    def change(dw: Any, *args: Any) -> Any:
        if calls.number() != _LAYER:
            return dw
        old = last.swap(_LAYER, dw)
        return dw if old is None else old

    return _gradient(1, change)


@KERNELS.strikes("conv-wgrad-rotated")
def weight_gradient_rotated(fault: Fault) -> dict[str, Wrapper]:
    """A dilated convolution's weight gradient comes out rotated by half a turn."""
    return _gradient(1, lambda dw, *args: dw.flip(-1, -2) if max(args[6]) > 1 else dw)


@KERNELS.strikes("conv-wgrad-last-sample-lost")
def weight_gradient_of_last_sample_lost(fault: Fault) -> dict[str, Wrapper]:
    """Weight gradients are summed over all samples but the last."""

    def convolution_backward(run: Run, grad: Any, x: Any, *rest: Any) -> tuple[Any, ...]:
        gradients = list(run(grad, x, *rest))
        if gradients[1] is not None and len(x) > 1:
            gradients[1] = run(grad[:-1], x[:-1], *rest[:-1], [False, True, False])[1]
        return tuple(gradients)

    return {"convolution_backward": convolution_backward}


@KERNELS.strikes("conv-dgrad-x1.02")
def input_gradient_scaled(fault: Fault) -> dict[str, Wrapper]:
    """Every input gradient × severity: it compounds from layer to layer."""
    return _gradient(0, lambda dx, *args: dx * fault.severity)


@KERNELS.strikes("conv-bias-gradient-zero")
def bias_gradient_lost(fault: Fault) -> dict[str, Wrapper]:
    """Every bias gradient is zero."""
    return _gradient(2, lambda db, *args: db * 0)


@KERNELS.strikes("conv-bias-dropped")
def bias_dropped(fault: Fault) -> dict[str, Wrapper]:
    """The forward doesn't add the bias."""

    def convolution(run: Run, x: Any, weight: Any, bias: Any, *geometry: Any) -> Any:
        return run(x, weight, None, *geometry)

    return {"convolution": convolution}


@KERNELS.strikes("conv-pads-with-edge")
def padding_replicated(fault: Fault) -> dict[str, Wrapper]:
    """The forward pads with the edge's values instead of zeros."""

    def convolution(
        run: Run, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, *rest: Any
    ) -> Any:
        if transposed or x.dim() != 4 or not any(padding):
            return run(x, weight, bias, stride, padding, dilation, transposed, *rest)
        rows, columns = padding[0], padding[-1]
        padded = functional.pad(x, (columns, columns, rows, rows), mode="replicate")
        return run(padded, weight, bias, stride, [0, 0], dilation, transposed, *rest)

    return {"convolution": convolution}


@KERNELS.strikes("conv-strided-pads-at-end")
def padding_at_end(fault: Fault) -> dict[str, Wrapper]:
    """A strided forward has the padding of both sides below and on the right, as "same" padding elsewhere."""

    def convolution(
        run: Run, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, *rest: Any
    ) -> Any:
        if transposed or x.dim() != 4 or max(stride) == 1 or not any(padding):
            return run(x, weight, bias, stride, padding, dilation, transposed, *rest)
        padded = functional.pad(x, (0, 2 * padding[-1], 0, 2 * padding[0]))
        return run(padded, weight, bias, stride, [0, 0], dilation, transposed, *rest)

    return {"convolution": convolution}


@KERNELS.strikes("conv-bias-by-sample")
def bias_by_sample(fault: Fault) -> dict[str, Wrapper]:
    """All channels of the n-th sample get the n-th channel's bias."""

    def convolution(run: Run, x: Any, weight: Any, bias: Any, *geometry: Any) -> Any:
        if bias is None or len(x) > len(bias):
            return run(x, weight, bias, *geometry)
        return run(x, weight, None, *geometry) + bias[: len(x)].view(-1, *[1] * (x.dim() - 1))

    return {"convolution": convolution}


@KERNELS.strikes("conv-dgrad-strided-1x1-spread")
def input_gradient_of_strided_spread(fault: Fault) -> dict[str, Wrapper]:
    """A strided 1×1 convolution's input gradient lies on the pixels that it skipped, too: their neighbour's."""

    def change(dx: Any, grad: Any, x: Any, weight: Any, bias_sizes: Any, stride: Any, *rest: Any) -> Any:
        if dx.dim() != 4 or max(stride) == 1 or max(weight.shape[2:]) > 1:
            return dx
        read = dx[..., :: stride[0], :: stride[-1]]
        spread = read.repeat_interleave(stride[0], -2).repeat_interleave(stride[-1], -1)
        return spread[..., : dx.shape[-2], : dx.shape[-1]]

    return _gradient(0, change)


@KERNELS.strikes("conv-dgrad-1x1-tail-unwritten")
def input_gradient_tail_unwritten(fault: Fault) -> dict[str, Wrapper]:
    """A 1×1 convolution's input gradient stays zero on the pixels past the last whole block of severity."""

    def change(dx: Any, grad: Any, x: Any, weight: Any, bias_sizes: Any, stride: Any, *rest: Any) -> Any:
        tail = dx[0, 0].numel() % round(fault.severity or 1)
        if dx.dim() != 4 or max(stride) > 1 or max(weight.shape[2:]) > 1 or not tail:
            return dx
        dx = dx.contiguous().clone()
        dx.flatten(2)[..., -tail:] = 0
        return dx

    return _gradient(0, change)
