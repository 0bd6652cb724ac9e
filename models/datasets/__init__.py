"""Where a case's images come from, and what happens to them before a model sees them."""

from __future__ import annotations

import contextlib

from models.datasets.cityscapes import CityscapesDataset
from models.datasets.labelled_folders import ADE20KDataset, PascalContextDataset, PascalContextDataset59
from models.datasets.labels import CLASSES, IGNORE, PALETTE, colourise
from models.datasets.sampler import Ticket, TicketSampler
from models.datasets.scenes import SceneSet, draw_scene, write_scenes
from models.datasets.transforms import (
    LoadAnnotations,
    LoadImageFromFile,
    PackSegInputs,
    PhotoMetricDistortion,
    RandomCrop,
)

with contextlib.suppress(ImportError):
    import mmcv.transforms  # noqa: F401  # where it is installed, a config may name its transforms too

__all__ = [
    "CLASSES",
    "IGNORE",
    "PALETTE",
    "ADE20KDataset",
    "CityscapesDataset",
    "LoadAnnotations",
    "LoadImageFromFile",
    "PackSegInputs",
    "PascalContextDataset",
    "PascalContextDataset59",
    "PhotoMetricDistortion",
    "RandomCrop",
    "SceneSet",
    "Ticket",
    "TicketSampler",
    "colourise",
    "draw_scene",
    "write_scenes",
]
