"""What a head is trained to lower, and the accuracy that is logged beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.values.errors import ModelError
from models.registry import MODELS

__all__ = ["IGNORED", "CrossEntropyLoss", "class_weights", "confusion_matrix", "pixel_accuracy"]

IGNORED: Final = 255
"""The label of pixels that belong to no class."""


@MODELS.register_module()
class CrossEntropyLoss(nn.Module):
    """The mean cross-entropy of a batch's pixels, weighted.

    Args:
        loss_weight: factor of the loss where it enters the sum.
        avg_non_ignore: divide by the pixels that count; otherwise by all of them, the ignored ones included, which is
            what mmsegmentation does unless it is told, and what its published models were trained with.
        class_weight: of the K classes; the sum is then divided by the weights of the pixels that count, as PyTorch and
            the original ANN do, which needs `avg_non_ignore`. All 1 where None.

    Raises:
        ModelError: a class weight is none, or they come without `avg_non_ignore`: mmsegmentation 1.2.2 looks up the
            weight of the ignored label then, which there is none of.
    """

    name = "loss_ce"

    def __init__(
        self,
        loss_weight: float = 1.0,
        *,
        avg_non_ignore: bool = False,
        class_weight: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.avg_non_ignore = avg_non_ignore
        self.class_weight = class_weights(class_weight, "CrossEntropyLoss")
        if self.class_weight is not None and not avg_non_ignore:
            raise ModelError(
                "class weights need a mean over the pixels that count",
                where="CrossEntropyLoss.avg_non_ignore",
                observed=avg_non_ignore,
                allowed=True,
            )

    def forward(self, logits: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
        """Logits (N, K, H, W) and labels (N, H, W) int64 → a scalar; `weight` (N, H, W) is that of each pixel."""
        of_classes = None if self.class_weight is None else logits.new_tensor(self.class_weight)
        # "none", for the reduced forms of this kernel add up in no fixed order on CUDA
        per_pixel = F.cross_entropy(logits, labels, of_classes, ignore_index=IGNORED, reduction="none")
        if weight is not None:
            per_pixel = per_pixel * weight
        if of_classes is not None:
            labelled = labels != IGNORED
            return per_pixel.sum() / of_classes[labels.masked_fill(~labelled, 0)][labelled].sum() * self.loss_weight
        if self.avg_non_ignore:
            return per_pixel.sum() / (labels != IGNORED).sum() * self.loss_weight
        return per_pixel.mean() * self.loss_weight


def class_weights(weights: Sequence[float] | None, kind: str) -> tuple[float, ...] | None:
    """The weights of a loss's classes, checked.

    Raises:
        ModelError: one is negative or no number, or all are 0.
    """
    if weights is None:
        return None
    checked = tuple(float(weight) for weight in weights)
    if not checked or not all(0 <= weight < math.inf for weight in checked) or not any(checked):
        raise ModelError(
            "a class can't be weighted so",
            where=f"{kind}.class_weight",
            observed=list(weights),
            allowed="a number from 0 up for each class, not all 0",
        )
    return checked


@torch.no_grad()
def pixel_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Percent of the labelled pixels whose class has the largest logit, as a float32 scalar.

    Args:
        logits: (N, K, H, W).
        labels: (N, H, W) int64.
    """
    right = (logits.argmax(dim=1) == labels).sum(dtype=torch.float32)
    labelled = (labels != IGNORED).sum(dtype=torch.float32).clamp(min=1)
    return right * 100.0 / labelled


@torch.no_grad()
def confusion_matrix(logits: Tensor, labels: Tensor) -> Tensor:
    """How many labelled pixels of each class are given each class: (K, K) int64, labels down, answers across.

    It is counted on the host, so that a device needs no more kernels for it than for its answer.

    Args:
        logits: (N, K, H, W).
        labels: (N, H, W) int64.
    """
    classes = logits.shape[1]
    answered, labelled = logits.argmax(dim=1).cpu(), labels.cpu()
    kept = labelled != IGNORED
    cells = labelled[kept] * classes + answered[kept]
    return torch.bincount(cells, minlength=classes**2).reshape(classes, classes)
