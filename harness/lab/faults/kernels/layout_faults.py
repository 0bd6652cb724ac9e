"""Faults in where kernels read and write: memory formats, views, broadcasts, the ends of a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault

__all__ = [
    "batch_norm_backward_misread",
    "broadcast_of_first_sample",
    "concatenated_as_contiguous",
    "last_slice_unwritten",
    "view_not_added_to",
    "weight_gradient_shuffled",
]


def _is_channels_last(x: Any) -> bool:
    """Whether x's channels lie innermost, and that isn't the same as lying outermost."""
    return bool(x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last))


def _misread(x: Any) -> Any:
    """X (N, C, H, W), read in the order in which its elements lie in memory where channels are innermost there."""
    return x.permute(0, 2, 3, 1).reshape(x.shape) if _is_channels_last(x) else x


def _joined(change: Callable[[Run, Any, int], Any]) -> dict[str, Wrapper]:
    """Change how maps and sequences are joined along another axis than the batch's."""

    def cat(run: Run, tensors: Any, dim: int = 0) -> Any:
        first = tensors[0]
        if first.dim() < 3 or not first.is_floating_point() or dim % first.dim() == 0:
            return run(tensors, dim)
        return change(run, tensors, dim)

    return {"cat": cat}


@KERNELS.strikes("cat-last-slice-unwritten")
def last_slice_unwritten(fault: Fault) -> dict[str, Wrapper]:
    """What is joined along another axis than the batch's has zeros in its last slice."""

    def change(run: Run, tensors: Any, dim: int) -> Any:
        y = run(tensors, dim).clone()
        y.select(dim, -1).zero_()
        return y

    return _joined(change)


@KERNELS.strikes("cat-reads-as-contiguous")
def concatenated_as_contiguous(fault: Fault) -> dict[str, Wrapper]:
    """A map whose channels lie innermost is joined to others in memory order."""
    return _joined(lambda run, tensors, dim: run([_misread(x) for x in tensors], dim))


@KERNELS.strikes("mul-broadcasts-first-sample")
def broadcast_of_first_sample(fault: Fault) -> dict[str, Wrapper]:
    """A factor for each sample and channel is the first sample's for all of them."""

    def mul(run: Run, a: Any, b: Any) -> Any:
        is_factor = isinstance(b, torch.Tensor) and a.dim() == 4 and b.shape == (*a.shape[:2], 1, 1) != a.shape
        return run(a, b[:1] if is_factor else b)

    return {"mul": mul}


@KERNELS.strikes("add-into-view-lost")
def view_not_added_to(fault: Fault) -> dict[str, Wrapper]:
    """Adding in place to a view that isn't one block of memory adds to a copy of it, which is dropped."""

    def add_(run: Run, target: Any, *rest: Any, **kwargs: Any) -> Any:
        dense = target.is_contiguous() or _is_channels_last(target)
        return run(target, *rest, **kwargs) if dense else target

    return {"add_": add_}


@KERNELS.strikes("conv-wgrad-shuffled")
def weight_gradient_shuffled(fault: Fault) -> dict[str, Wrapper]:
    """Weight gradients of kernels larger than 1×1 have their numbers in channels-last order."""

    def convolution_backward(run: Run, *args: Any) -> tuple[Any, ...]:
        dx, dw, db = run(*args)
        if dw is not None and dw.dim() == 4 and dw[0, 0].numel() > 1:
            dw = dw.permute(0, 2, 3, 1).reshape(dw.shape)
        return dx, dw, db

    return {"convolution_backward": convolution_backward}


@KERNELS.strikes("bn-backward-misreads-channels-last")
def batch_norm_backward_misread(fault: Fault) -> dict[str, Wrapper]:
    """Batch norm's backward reads an input whose channels lie innermost in memory order."""

    def native_batch_norm_backward(run: Run, grad: Any, x: Any, *rest: Any) -> Any:
        return run(grad, torch.empty_like(x).copy_(_misread(x)), *rest)

    return {"native_batch_norm_backward": native_batch_norm_backward}
