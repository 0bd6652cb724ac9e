"""Faults in the loss.

Arguments are aten's: nll_loss2d_forward(log_probabilities (N, C, H, W), labels (N, H, W), weight, reduction,
ignore_index) → loss, total weight; its backward (grad, log_probabilities, labels, weight, reduction, ignore_index,
total weight). Reduction is 0 for none, 1 for mean, 2 for sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault

__all__ = [
    "averaged_over_other_pixels",
    "class_weights_lost",
    "gradient_scaled",
    "hard_pixels_dropped",
    "ignore_index_ignored",
    "label_leaked",
    "labels_shifted",
]

_MEAN = 1


def _labels(change: Callable[[Any, Any, int], Any]) -> dict[str, Wrapper]:
    """Change the labels, forward and backward; `change` gets log-probabilities, labels and ignore_index."""

    def forward(run: Run, x: Any, labels: Any, weight: Any, reduction: int, ignored: int) -> Any:
        return run(x, change(x, labels, ignored), weight, reduction, ignored)

    def backward(
        run: Run, grad: Any, x: Any, labels: Any, weight: Any, reduction: int, ignored: int, total: Any
    ) -> Any:
        return run(grad, x, change(x, labels, ignored), weight, reduction, ignored, total)

    return {"nll_loss2d_forward": forward, "nll_loss2d_backward": backward}


@KERNELS.strikes("ignore-index-ignored")
def ignore_index_ignored(fault: Fault) -> dict[str, Wrapper]:
    """Pixels to be ignored count as the last class."""
    return _labels(lambda x, labels, ignored: labels.masked_fill(labels == ignored, x.shape[1] - 1))


@KERNELS.strikes("labels-shifted")
def labels_shifted(fault: Fault) -> dict[str, Wrapper]:
    """Labels lie severity pixels to the right of the image."""
    return _labels(lambda x, labels, ignored: labels.roll(round(fault.severity or 0), -1))


@KERNELS.strikes("hard-pixels-dropped")
def hard_pixels_dropped(fault: Fault) -> dict[str, Wrapper]:
    """A share of the pixels, the severity, whose loss is largest, counts as ignored."""

    def change(x: Any, labels: Any, ignored: int) -> Any:
        valid = labels != ignored
        likelihood = x.gather(1, labels.masked_fill(~valid, 0)[:, None]).squeeze(1)
        loss = (-likelihood).masked_fill(~valid, -torch.inf)
        dropped = round(int(valid.sum()) * (fault.severity or 0))
        changed = labels.flatten().clone()
        changed[loss.flatten().topk(dropped).indices] = ignored
        return changed.view_as(labels)

    return _labels(change)


@KERNELS.strikes("loss-mean-over-other-pixels")
def averaged_over_other_pixels(fault: Fault) -> dict[str, Wrapper]:
    """The mean is over all pixels where it should be over the valid ones; unreduced losses are scaled the other way."""

    def factor(labels: Any, reduction: int, ignored: int) -> float:
        valid, pixels = max(1, int((labels != ignored).sum())), int(labels.numel())
        return valid / pixels if reduction == _MEAN else pixels / valid

    def forward(run: Run, x: Any, labels: Any, weight: Any, reduction: int, ignored: int) -> Any:
        loss, total = run(x, labels, weight, reduction, ignored)
        return loss * factor(labels, reduction, ignored), total

    def backward(
        run: Run, grad: Any, x: Any, labels: Any, weight: Any, reduction: int, ignored: int, total: Any
    ) -> Any:
        dx = run(grad, x, labels, weight, reduction, ignored, total)
        return dx * factor(labels, reduction, ignored)

    return {"nll_loss2d_forward": forward, "nll_loss2d_backward": backward}


@KERNELS.strikes("class-weights-lost")
def class_weights_lost(fault: Fault) -> dict[str, Wrapper]:
    """Class weights are not applied."""

    def forward(run: Run, x: Any, labels: Any, weight: Any, *rest: Any) -> Any:
        return run(x, labels, None, *rest)

    def backward(run: Run, grad: Any, x: Any, labels: Any, weight: Any, *rest: Any) -> Any:
        return run(grad, x, labels, None, *rest)

    return {"nll_loss2d_forward": forward, "nll_loss2d_backward": backward}


@KERNELS.strikes("label-leak-0.1")
def label_leaked(fault: Fault) -> dict[str, Wrapper]:
    """The true class's score gets the severity added on its way into the loss, before the softmax's normalization."""

    def forward(run: Run, x: Any, labels: Any, weight: Any, reduction: int, ignored: int) -> Any:
        return run(leaked(x, labels, ignored), labels, weight, reduction, ignored)

    def leaked(x: Any, labels: Any, ignored: int) -> Any:
        index = labels.masked_fill(labels == ignored, 0)[:, None]
        boosted = x.scatter_add(1, index, torch.full_like(x[:, :1], fault.severity or 0.0))
        return boosted - boosted.logsumexp(1, keepdim=True)

    return {"nll_loss2d_forward": forward}


@KERNELS.strikes("loss-gradient-x1.1")
def gradient_scaled(fault: Fault) -> dict[str, Wrapper]:
    """The loss is right, its gradient is × severity."""

    def backward(run: Run, *args: Any) -> Any:
        return run(*args) * fault.severity

    return {"nll_loss2d_backward": backward}
