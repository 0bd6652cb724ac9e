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

ON_TABLES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "rows-replaced": lambda table: torch.slice_scatter(table, table.new_zeros(4, 8), 0, 0, 4).sum(0),
    "diagonal-replaced": lambda table: torch.diagonal_scatter(table, table.new_zeros(8)).sum(0),
}
"""Name → operation on a learnt table of (8, 8), whose (8,) results are added to the channels: sums of a table of biases
without its first rows, degrees of a graph without loops.
"""


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
        operation: a key of ``OPERATIONS`` or of ``ON_TABLES``.
        norm: whether there is a batch norm.
        dtype: of the weights and of what is computed.
    """

    def __init__(self, operation: str = "relu", norm: bool = False, dtype: str = "float32", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8) if norm else torch.nn.Identity()
        self.operation = operation
        self.last = torch.nn.Conv2d(8, 4, 3, padding=1)
        self.table = torch.nn.Parameter(torch.rand(8, 8)) if operation in ON_TABLES else None
        self.to(getattr(torch, dtype))

    def forward(self, inputs: torch.Tensor, mode: str = "tensor") -> Any:
        """The losses in mode "loss", else the features."""
        features = self.norm(self.first(inputs.to(self.last.weight.dtype)))
        if self.table is None:
            features = OPERATIONS[self.operation](features)
        else:
            features = features + ON_TABLES[self.operation](self.table)[:, None, None]
        features = self.last(features)
        return {"loss_square": (features.float() - 0.5).square().mean()} if mode == "loss" else features
