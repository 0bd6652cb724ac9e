"""What a head is trained to lower, and the accuracy that is logged beside it."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.registry import MODELS

__all__ = ["IGNORED", "CrossEntropyLoss", "confusion_matrix", "pixel_accuracy"]

IGNORED: Final = 255
"""The label of pixels that belong to no class."""


@MODELS.register_module()
class CrossEntropyLoss(nn.Module):
    """The mean cross-entropy of a batch's pixels, weighted.

    Args:
        loss_weight: factor of the loss where it enters the sum.
        avg_non_ignore: divide by the pixels that count; otherwise by all of them, the ignored ones included, which is
            what mmsegmentation does unless it is told, and what its published models were trained with.
    """

    name = "loss_ce"

    def __init__(self, loss_weight: float = 1.0, *, avg_non_ignore: bool = False) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.avg_non_ignore = avg_non_ignore

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Logits (N, K, H, W) and labels (N, H, W) int64 → a scalar."""
        # "none", for the reduced forms of this kernel add up in no fixed order on CUDA
        per_pixel = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
        if self.avg_non_ignore:
            return per_pixel.sum() / (labels != IGNORED).sum() * self.loss_weight
        return per_pixel.mean() * self.loss_weight


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
