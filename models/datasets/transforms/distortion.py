"""Random brightness, contrast, saturation and hue; and brightness alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import cv2
import numpy as np
import numpy.typing as npt

from harness.values.errors import DataError
from models.registry import TRANSFORMS

__all__ = ["PhotoMetricDistortion", "RandomBrightness"]

Image = npt.NDArray[np.uint8]

_HUES = 180
"""OpenCV's hues in 8 bits: half degrees' worth of a circle, 0–179."""


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class PhotoMetricDistortion:
    """Changes colours, never places; each change with probability 1/2.

    In this order: brightness · contrast (in half of the samples) · saturation · hue · contrast (in the other half).
    After each, values are cut to 0–255 and rounded towards zero.

    Source: Liu et al., "SSD: Single Shot MultiBox Detector" (arXiv:1512.02325), section 2.2, data augmentation, after
    Howard (arXiv:1312.5402); the bounds are those of the segmentation field's training scripts.

    Args:
        brightness_delta: the largest shift, in grey levels.
        contrast_range: lowest and highest factor.
        saturation_range: lowest and highest factor.
        hue_delta: the largest turn, both ways, in OpenCV's 180 hues.

    Raises:
        DataError: a setting is outside its bounds.
    """

    brightness_delta: int = 32
    contrast_range: tuple[float, float] = (0.5, 1.5)
    saturation_range: tuple[float, float] = (0.5, 1.5)
    hue_delta: int = 18

    def __post_init__(self) -> None:
        for name in ("contrast_range", "saturation_range"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                _refuse(name, (low, high), "two factors, from 0 up, the lower first")
        for name in ("brightness_delta", "hue_delta"):
            if getattr(self, name) < 0:
                _refuse(name, getattr(self, name), "0 or more")

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Change `img`, (H, W, 3) uint8 BGR."""
        contrast_first = _coin()
        image = self._brightness(sample["img"])
        if contrast_first:
            image = self._contrast(image)
        image = self._hue(self._saturation(image))
        if not contrast_first:
            image = self._contrast(image)
        return sample | {"img": image}

    def _brightness(self, image: Image) -> Image:
        if not _coin():
            return image
        return _scaled(image, shift=np.random.uniform(-self.brightness_delta, self.brightness_delta))

    def _contrast(self, image: Image) -> Image:
        return _scaled(image, factor=np.random.uniform(*self.contrast_range)) if _coin() else image

    def _saturation(self, image: Image) -> Image:
        if not _coin():
            return image
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        hsv[..., 1] = _scaled(hsv[..., 1], factor=np.random.uniform(*self.saturation_range))
        return _bgr(hsv)

    def _hue(self, image: Image) -> Image:
        if not _coin():
            return image
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        turned = hsv[..., 0].astype(np.int16) + np.random.randint(-self.hue_delta, self.hue_delta + 1)
        hsv[..., 0] = turned % _HUES
        return _bgr(hsv)


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class RandomBrightness:
    """Shifts all channels by one whole number, always; values are cut to 0–255.

    Source: the original ANN (torchcv, datasets/tools/cv2_aug_transforms.py).

    Args:
        shift_value: the largest shift, both ways, in grey levels; each whole number is as likely.

    Raises:
        DataError: it is outside its bounds.
    """

    shift_value: int = 10

    def __post_init__(self) -> None:
        if type(self.shift_value) is not int or not 0 <= self.shift_value <= 255:
            raise DataError(
                "A shift is not valid",
                where="RandomBrightness.shift_value",
                observed=self.shift_value,
                allowed="a whole number, 0–255",
            )

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Change `img`, (H, W, 3) uint8."""
        shift = int(np.random.randint(-self.shift_value, self.shift_value + 1))
        shifted = np.clip(sample["img"].astype(np.int16) + shift, 0, 255).astype(np.uint8)
        return sample | {"img": shifted}


def _refuse(setting: str, observed: object, allowed: str) -> NoReturn:
    where = f"PhotoMetricDistortion.{setting}"
    raise DataError("A distortion is not valid", where=where, observed=observed, allowed=allowed)


def _coin() -> bool:
    return bool(np.random.randint(2))


def _scaled(values: Image, factor: float = 1.0, shift: float = 0.0) -> Image:
    scaled = values.astype(np.float32) * np.float32(factor) + np.float32(shift)
    cut: Image = np.clip(scaled, 0, 255).astype(np.uint8)
    return cut


def _bgr(hsv: Image) -> Image:
    image: Image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    return image
