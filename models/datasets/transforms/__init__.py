"""What a pipeline does to a sample.

A sample is a dict that the transforms fill and change: `img_path`, `seg_map_path` · `img` (H, W, 3) uint8 BGR ·
`gt_seg_map` (H, W) uint8 train ids · `ori_shape`, `img_shape` (H, W).
"""

from __future__ import annotations

from models.datasets.transforms.cropping import RandomCrop
from models.datasets.transforms.distortion import PhotoMetricDistortion, RandomBrightness
from models.datasets.transforms.geometry import RandomAspectResize, RandomFlip, RandomPad, RandomResize
from models.datasets.transforms.loading import LoadAnnotations, LoadImageFromFile
from models.datasets.transforms.packing import PackSegInputs

__all__ = [
    "LoadAnnotations",
    "LoadImageFromFile",
    "PackSegInputs",
    "PhotoMetricDistortion",
    "RandomAspectResize",
    "RandomBrightness",
    "RandomCrop",
    "RandomFlip",
    "RandomPad",
    "RandomResize",
]
