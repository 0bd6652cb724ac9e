"""From the pipeline's arrays to the tensors that a model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.registry import TRANSFORMS

__all__ = ["PackSegInputs"]


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class PackSegInputs:
    """Ends a pipeline: `dict(inputs=…, data_samples=dict(gt_sem_seg=…, img_path=…, …))`.

    `inputs` is (3, H, W) uint8 BGR and `gt_sem_seg` (H, W) uint8 train ids, both contiguous and in memory of their
    own. A sample without labels has no `gt_sem_seg`.

    Args:
        meta_keys: what else of the sample goes into `data_samples`, where the sample has it.
    """

    meta_keys: tuple[str, ...] = ("img_path", "seg_map_path", "ori_shape", "img_shape", "flip", "index", "position")

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Pack the sample."""
        packed: dict[str, Any] = {key: sample[key] for key in self.meta_keys if key in sample}
        if "gt_seg_map" in sample:
            packed["gt_sem_seg"] = _tensor(sample["gt_seg_map"])
        return {"inputs": _tensor(sample["img"].transpose(2, 0, 1)), "data_samples": packed}


def _tensor(pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.array(pixels, order="C"))
