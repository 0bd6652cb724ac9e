"""Faults of buffers that calls share or keep: not cleared, not written, written too early, or still another's."""

from __future__ import annotations

from typing import Any

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault
from harness.lab.faults.kernels.call_counts import CallCounter, LastTime
from harness.recording.clock import current_iteration

__all__ = [
    "ignored_pixels_unwritten",
    "input_gradient_overwritten",
    "mask_of_another_relu",
    "operand_overwritten",
    "packed_weights_stale",
    "pooling_gradient_uncleared",
    "workspace_uncleared",
]

# Counted in the order of the backward, as in `convolution`.
_LAYER = 3


def _is_its_turn(fault: Fault) -> bool:
    """Whether this is an iteration that a fault of every severity-th one strikes."""
    return (current_iteration() + 1) % round(fault.severity or 1) == 0


@KERNELS.strikes("conv-packed-weights-stale")
def packed_weights_stale(fault: Fault) -> dict[str, Wrapper]:
    """Convolutions larger than 1×1 compute with the weights that they packed in the iteration before.

    In evaluation mode these are the ones of the evaluation before: a model is evaluated in iterations that it trains in
    too, and its calls are counted on from there.
    """
    calls, last = CallCounter(), LastTime()

    def convolution(run: Run, x: Any, weight: Any, *rest: Any) -> Any:
        if weight[0, 0].numel() == 1:
            return run(x, weight, *rest)
        packed = last.swap(calls.number(), weight)
        return run(x, weight if packed is None else packed, *rest)

    return {"convolution": convolution}


@KERNELS.strikes("conv-wgrad-workspace-uncleared")
def workspace_uncleared(fault: Fault) -> dict[str, Wrapper]:
    """A dilated convolution's weight gradient is added to that of the layer before it, of the same shape."""
    calls = CallCounter()
    workspaces: dict[tuple[int, ...], Any] = {}

    def convolution_backward(run: Run, *args: Any) -> tuple[Any, ...]:
        dx, dw, db = run(*args)
        if calls.number() == 0:
            workspaces.clear()
        if dw is None or max(args[6]) == 1:
            return dx, dw, db
        left = workspaces.get(tuple(dw.shape))
        workspaces[tuple(dw.shape)] = dw = dw.clone() if left is None else dw + left
        return dx, dw, db

    return {"convolution_backward": convolution_backward}


@KERNELS.strikes("max-pool-gradient-uncleared")
def pooling_gradient_uncleared(fault: Fault) -> dict[str, Wrapper]:
    """Max pooling adds its gradient to that of all iterations before."""
    calls, last = CallCounter(), LastTime()

    def backward(run: Run, *args: Any) -> Any:
        call, dx = calls.number(), run(*args)
        left = last.swap(call, dx)
        if left is not None:
            dx = dx + left
            last.swap(call, dx)
        return dx

    return {"max_pool2d_with_indices_backward": backward}


@KERNELS.strikes("relu-mask-of-another")
def mask_of_another_relu(fault: Fault) -> dict[str, Wrapper]:
    """Every severity-th iteration, a ReLU's backward has the mask of the one before it, where it has the same shape."""
    kept: dict[str, Any] = {}

    def backward(run: Run, grad: Any, y: Any, threshold: float) -> Any:
        other, kept["y"] = kept.get("y"), y
        reused = _is_its_turn(fault) and other is not None and other.shape == y.shape
        return run(grad, other if reused else y, threshold)

    return {"threshold_backward": backward}


@KERNELS.strikes("conv-dgrad-overwritten-every-7th")
def input_gradient_overwritten(fault: Fault) -> dict[str, Wrapper]:
    """Every severity-th iteration, another layer's gradient lies in the last quarter of one input gradient."""
    calls = CallCounter()
    kept: dict[str, Any] = {}

    def convolution_backward(run: Run, *args: Any) -> tuple[Any, ...]:
        dx, dw, db = run(*args)
        other, kept["dx"] = kept.get("dx"), dx
        if calls.number() != _LAYER or not _is_its_turn(fault) or dx is None or other is None:
            return dx, dw, db
        dx = dx.contiguous().clone()
        freed = min(dx.numel() // 4, other.numel())
        dx.view(-1)[-freed:] = other.reshape(-1)[:freed]
        return dx, dw, db

    return {"convolution_backward": convolution_backward}


@KERNELS.strikes("add-overwrites-operand")
def operand_overwritten(fault: Fault) -> dict[str, Wrapper]:
    """The sum of two maps is written over the first of them, too."""

    def add(run: Run, a: Any, b: Any, **kwargs: Any) -> Any:
        y = run(a, b, **kwargs)
        if isinstance(b, torch.Tensor) and a.dim() == 4 and a.shape == b.shape and a.dtype == y.dtype:
            a.copy_(y)
        return y

    return {"add": add}


@KERNELS.strikes("loss-ignored-unwritten")
def ignored_pixels_unwritten(fault: Fault) -> dict[str, Wrapper]:
    """Where a pixel is ignored, its unreduced loss is what the last iteration left there; the gradient is right."""
    calls, last = CallCounter(), LastTime()

    def forward(run: Run, x: Any, labels: Any, weight: Any, reduction: int, ignored: int) -> Any:
        loss, total = run(x, labels, weight, reduction, ignored)
        if not loss.dim():
            return loss, total
        call = calls.number()
        left = last.swap(call, loss)
        if left is not None:
            loss = torch.where(labels == ignored, left, loss)
            last.swap(call, loss)
        return loss, total

    return {"nll_loss2d_forward": forward}
