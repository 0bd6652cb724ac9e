"""Random size, and random left and right.

The settings, the random draws and the pixels are those of mmcv's transforms of the same names: a config and a batch are
the same with either. They are here since mmcv asks for the OpenCV that draws on a screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from harness.values.errors import DataError
from models.registry import TRANSFORMS

__all__ = ["RandomFlip", "RandomResize"]


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class RandomResize:
    """Resizes the image, linearly, and its label map, by nearest neighbours, by a random factor.

    Args:
        scale: (width, height) in pixels at factor 1.
        ratio_range: lowest and highest factor; each between is as likely.
        keep_ratio: whether the image is fitted into the scaled size with its own ratio of sides: the longer side into
            the longer, the shorter into the shorter. Otherwise it gets exactly that size.

    Raises:
        DataError: a setting is outside its bounds.
    """

    scale: tuple[int, int]
    ratio_range: tuple[float, float] = (1.0, 1.0)
    keep_ratio: bool = False

    def __post_init__(self) -> None:
        if len(self.scale) != 2 or not all(type(side) is int and side > 0 for side in self.scale):
            raise DataError(
                "A size can't be meant",
                where="RandomResize.scale",
                observed=self.scale,
                allowed="(width, height), in whole pixels, at least 1",
            )
        if len(self.ratio_range) != 2 or not 0 < self.ratio_range[0] <= self.ratio_range[1]:
            raise DataError(
                "Factors can't be meant",
                where="RandomResize.ratio_range",
                observed=self.ratio_range,
                allowed="two, above 0, the lower first",
            )

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Resize `img` and, where it is there, `gt_seg_map`; set `img_shape`."""
        low, high = self.ratio_range
        factor = np.random.random_sample() * (high - low) + low
        size = int(self.scale[0] * factor), int(self.scale[1] * factor)
        height, width = sample["img"].shape[:2]
        if self.keep_ratio:
            fitting = min(max(size) / max(height, width), min(size) / min(height, width))
            size = int(width * fitting + 0.5), int(height * fitting + 0.5)
        resized = {"img": cv2.resize(sample["img"], size, interpolation=cv2.INTER_LINEAR)}
        if "gt_seg_map" in sample:
            resized["gt_seg_map"] = cv2.resize(sample["gt_seg_map"], size, interpolation=cv2.INTER_NEAREST)
        return sample | resized | {"img_shape": resized["img"].shape[:2]}


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class RandomFlip:
    """Swaps left and right of the image and its label map.

    Args:
        prob: how often, in [0, 1].

    Raises:
        DataError: it is outside its bounds.
    """

    prob: float

    def __post_init__(self) -> None:
        if not 0 <= self.prob <= 1:
            raise DataError("A probability is out of range", where="RandomFlip.prob", observed=self.prob, allowed="0–1")

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Flip `img` and, where it is there, `gt_seg_map`; set `flip`."""
        if np.random.random_sample() >= self.prob:
            return sample | {"flip": False}
        flipped = {name: np.flip(sample[name], axis=1) for name in ("img", "gt_seg_map") if name in sample}
        return sample | flipped | {"flip": True}
