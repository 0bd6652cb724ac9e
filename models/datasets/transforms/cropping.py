"""A random window of the image and its label map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.values.errors import DataError
from models.datasets.labels import IGNORE
from models.registry import TRANSFORMS

__all__ = ["RandomCrop"]

_TRIES = 10


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class RandomCrop:
    """Cuts a window that no single class fills, at a random place.

    Up to ten places are tried, until the window holds more than one class and the largest has less than
    `cat_max_ratio` of the pixels that aren't ignored; the tenth is taken as it is. An image smaller than the window
    keeps its size. Integer arithmetic, but for the one ratio.

    Args:
        crop_size: (height, width) in pixels, both at least 1.
        cat_max_ratio: in (0, 1]; 1 takes the first place.

    Raises:
        DataError: a setting is outside its bounds.
    """

    crop_size: tuple[int, int]
    cat_max_ratio: float = 1.0

    def __post_init__(self) -> None:
        if len(self.crop_size) != 2 or not all(type(side) is int and side > 0 for side in self.crop_size):
            raise DataError(
                "A crop has no size",
                where="RandomCrop.crop_size",
                observed=self.crop_size,
                allowed="(height, width), in whole pixels, at least 1",
            )
        if not 0 < self.cat_max_ratio <= 1:
            raise DataError(
                "A share is out of range",
                where="RandomCrop.cat_max_ratio",
                observed=self.cat_max_ratio,
                allowed="above 0, at most 1",
            )

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Cut `img` and `gt_seg_map`, and set `img_shape`."""
        image, labels = sample["img"], sample["gt_seg_map"]
        window = self._window(labels)
        cropped = image[window]
        return sample | {"img": cropped, "gt_seg_map": labels[window], "img_shape": cropped.shape[:2]}

    def _window(self, labels: npt.NDArray[np.uint8]) -> tuple[slice, slice]:
        for _ in range(_TRIES):
            window = self._anywhere(labels.shape)
            if self.cat_max_ratio == 1 or _is_mixed(labels[window], self.cat_max_ratio):
                break
        return window

    def _anywhere(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        top, left = (
            int(np.random.randint(max(has - cut, 0) + 1)) for has, cut in zip(shape, self.crop_size, strict=True)
        )
        return slice(top, top + self.crop_size[0]), slice(left, left + self.crop_size[1])


def _is_mixed(labels: npt.NDArray[np.uint8], most: float) -> bool:
    """Whether the largest class has less than this share of what isn't ignored; one class alone has all of it."""
    counts = np.bincount(labels.ravel(), minlength=IGNORE + 1)[:IGNORE]
    return bool(counts.max() < most * counts.sum())
