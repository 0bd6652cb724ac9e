"""A training whose step has one operation between two convolutions: what a backend's fault in it does to a training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from torch.utils.data import Dataset

OPERATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "elu": F.elu,
    "celu": lambda x: F.celu(x, 0.7),
    "selu": F.selu,
    "bilinear-1.3": lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear"),
    "bilinear-5-to-9": lambda x: F.interpolate(x[..., :5, :5], (9, 9), mode="bilinear"),
    "largest-norm": lambda x: x / x.norm(p=float("inf"), dim=1, keepdim=True),
    "pooling-that-overhangs": lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True),
}
"""Name → operation on (N, C, H, W)."""


@DATASETS.register_module()
class Noise(Dataset):  # type: ignore[type-arg]
    """Images of (3, 8, 8) that are drawn from their numbers."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        return {"inputs": torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(number))}


@MODELS.register_module()
class OneOperation(BaseModel):  # type: ignore[misc]
    """Convolution, batch norm where asked for, the operation, convolution, mean square.

    Args:
        operation: a key of ``OPERATIONS``.
        norm: whether there is a batch norm.
    """

    def __init__(self, operation: str = "relu", norm: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8) if norm else torch.nn.Identity()
        self.operation = operation
        self.last = torch.nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, inputs: torch.Tensor, mode: str = "tensor") -> Any:
        """The losses in mode "loss", else the features."""
        features = self.last(OPERATIONS[self.operation](self.norm(self.first(inputs))))
        return {"loss_square": (features - 0.5).square().mean()} if mode == "loss" else features
