"""Random size, random sides, random left and right, random place.

The settings, the random draws and the pixels of `RandomResize` and `RandomFlip` are those of mmcv's transforms of the
same names: a config and a batch are the same with either. They are here since mmcv asks for the OpenCV that draws on a
screen. `RandomAspectResize` and `RandomPad` are the original ANN's (torchcv, datasets/tools: cv2_aug_transforms.py and
collate.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from harness.values.errors import DataError
from models.datasets.labels import IGNORE
from models.registry import TRANSFORMS

__all__ = ["RandomAspectResize", "RandomFlip", "RandomPad", "RandomResize"]


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
                "A size is not valid",
                where="RandomResize.scale",
                observed=self.scale,
                allowed="(width, height), in whole pixels, at least 1",
            )
        _require_range("RandomResize.ratio_range", self.ratio_range)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Resize `img` and, where it is there, `gt_seg_map`; set `img_shape`."""
        low, high = self.ratio_range
        factor = np.random.random_sample() * (high - low) + low
        size = int(self.scale[0] * factor), int(self.scale[1] * factor)
        height, width = sample["img"].shape[:2]
        if self.keep_ratio:
            fitting = min(max(size) / max(height, width), min(size) / min(height, width))
            size = int(width * fitting + 0.5), int(height * fitting + 0.5)
        return _resized(sample, size, cv2.INTER_LINEAR)


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class RandomAspectResize:
    """Resizes the image, by cubic interpolation, and its label map, by nearest neighbours, by a factor for each side.

    With a scale s and an aspect a, both drawn evenly, the width is multiplied by s·√a and the height by s/√a; the area
    depends on s alone.

    Args:
        scale_range: lowest and highest scale of the image's own size.
        aspect_range: lowest and highest aspect.

    Raises:
        DataError: a setting is outside its bounds.
    """

    scale_range: tuple[float, float] = (0.5, 2.0)
    aspect_range: tuple[float, float] = (0.9, 1.1)

    def __post_init__(self) -> None:
        _require_range("RandomAspectResize.scale_range", self.scale_range)
        _require_range("RandomAspectResize.aspect_range", self.aspect_range)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Resize `img` and, where it is there, `gt_seg_map`; set `img_shape`."""
        scale, side = np.random.uniform(*self.scale_range), math.sqrt(np.random.uniform(*self.aspect_range))
        height, width = sample["img"].shape[:2]
        size = max(1, int(width * scale * side)), max(1, int(height * scale / side))
        return _resized(sample, size, cv2.INTER_CUBIC)


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class RandomPad:
    """Puts a smaller image at a random place of a canvas of one size; what is around it is ignored.

    Args:
        size: (height, width) of the canvas, in pixels.
        pad_val: blue, green and red of what is around, 0–255. The original pads after it has normalised, with 0: that
            is the mean, which has to be given here rounded.

    Raises:
        DataError: a setting is outside its bounds; or, of a sample, it is larger than the canvas.
    """

    size: tuple[int, int]
    pad_val: Sequence[int] = (0, 0, 0)

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(type(side) is int and side > 0 for side in self.size):
            allowed = "(height, width), in whole pixels, at least 1"
            raise DataError("A size is not valid", where="RandomPad.size", observed=self.size, allowed=allowed)
        if len(self.pad_val) != 3 or not all(type(value) is int and 0 <= value <= 255 for value in self.pad_val):
            allowed = "three whole numbers, 0–255"
            raise DataError("No colour is this", where="RandomPad.pad_val", observed=self.pad_val, allowed=allowed)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Pad `img` and, where it is there, `gt_seg_map`; set `img_shape`."""
        height, width = sample["img"].shape[:2]
        spare = self.size[0] - height, self.size[1] - width
        if min(spare) < 0:
            raise DataError(
                "An image is larger than what it is padded to",
                where=f"RandomPad.size, {sample.get('img_path', 'a sample')}",
                observed=f"{height}×{width}",
                allowed=f"up to {self.size[0]}×{self.size[1]}",
                hint="RandomCrop before it, of the same size",
            )
        top, left = (int(np.random.randint(side + 1)) for side in spare)
        place = slice(top, top + height), slice(left, left + width)
        image = np.empty((*self.size, 3), np.uint8)
        image[:] = np.array(self.pad_val, np.uint8)
        image[place] = sample["img"]
        padded: dict[str, Any] = {"img": image, "img_shape": self.size}
        if "gt_seg_map" in sample:
            padded["gt_seg_map"] = np.full(self.size, IGNORE, np.uint8)
            padded["gt_seg_map"][place] = sample["gt_seg_map"]
        return sample | padded


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


def _resized(sample: dict[str, Any], size: tuple[int, int], interpolation: int) -> dict[str, Any]:
    """The sample with its image at a size (width, height), and its label map by nearest neighbours."""
    resized = {"img": cv2.resize(sample["img"], size, interpolation=interpolation)}
    if "gt_seg_map" in sample:
        resized["gt_seg_map"] = cv2.resize(sample["gt_seg_map"], size, interpolation=cv2.INTER_NEAREST)
    return sample | resized | {"img_shape": resized["img"].shape[:2]}


def _require_range(where: str, factors: tuple[float, float]) -> None:
    if len(factors) != 2 or not 0 < factors[0] <= factors[1]:
        raise DataError("Factors are not valid", where=where, observed=factors, allowed="two, above 0, the lower first")
