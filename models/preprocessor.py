"""Batches as the data loader gives them → batches as the model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from harness.values.errors import DataError
from models.losses import IGNORED
from models.registry import MODELS

__all__ = ["SegDataPreProcessor"]


@MODELS.register_module()
class SegDataPreProcessor(BaseDataPreprocessor):  # type: ignore[misc]  # mmengine has no types
    """Moves, orders channels, normalises, pads and stacks.

    With mean 128 and std 64 every pixel is exact in float32 on every device.

    Args:
        mean: of the three channels, in the order that the model sees, 0 … 255.
        std: of the three channels.
        bgr_to_rgb: whether the data set gives blue first.
        size: (H, W) that smaller crops are padded to, at the right and the bottom; None, no padding.
        pad_val: a padded pixel, after normalising.
        seg_pad_val: its label.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        bgr_to_rgb: bool = False,
        size: Sequence[int] | None = None,
        pad_val: float = 0.0,
        seg_pad_val: int = IGNORED,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self.bgr_to_rgb = bgr_to_rgb
        self.size = tuple(size) if size is not None else None
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """A collated batch → what the model's `forward` takes.

        Args:
            data: `inputs`, a list of N uint8 tensors (3, H, W); `data_samples`, with the labels `gt_sem_seg`, N integer
                tensors (H, W), either a list of dicts or a dict of lists. Labels may be missing outside training.
            training: not used; mmengine passes it.

        Returns:
            `inputs` (N, 3, H, W), floating, and `data_samples`, a dict with `gt_sem_seg` (N, H, W) int64, or None.

        Raises:
            DataError: the crops differ in size.
        """
        data = self.cast_data(data)
        labels = _labels(data.get("data_samples"))
        return {
            "inputs": self._stack([self.normalise(image) for image in data["inputs"]], self.pad_val),
            "data_samples": labels and {"gt_sem_seg": self._stack([x.long() for x in labels], self.seg_pad_val)},
        }

    def normalise(self, image: Tensor) -> Tensor:
        """(3, H, W) as the data set gives it → as the model sees it, floating; no padding."""
        if self.bgr_to_rgb:
            image = image.flip(0)
        normal: Tensor = (image.to(self.mean.dtype) - self.mean) / self.std
        return normal

    def _stack(self, items: Sequence[Tensor], fill: float) -> Tensor:
        if self.size is not None:
            height, width = self.size
            items = [F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]), value=fill) for x in items]
        sizes = sorted({(x.shape[-2], x.shape[-1]) for x in items})
        if len(sizes) != 1:
            raise DataError(
                "the crops of a batch differ in size",
                where="model.data_preprocessor.size",
                observed=sizes,
                allowed="one (H, W), or a size that all are padded to",
            )
        return torch.stack(list(items))


def _labels(samples: Any) -> list[Tensor] | None:
    """The label maps of a batch, in the order of its images."""
    if not samples:
        return None
    if isinstance(samples, Mapping):
        return list(samples["gt_sem_seg"]) if "gt_sem_seg" in samples else None
    return [sample["gt_sem_seg"] for sample in samples]
