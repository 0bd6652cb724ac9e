"""The labels of Cityscapes: 34 kinds of things that are drawn, 19 classes that are trained on.

Source: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016 (arXiv:1604.01685),
section 2 and appendix; names, ids and colours as the data set publishes them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.accuracy.label_table import LabelTable, ScoredLabel

__all__ = ["CITYSCAPES", "CLASSES", "IGNORE", "LABELS", "PALETTE", "TRAIN_IDS", "Label", "colourise"]

IGNORE: Final = 255
"""The train id of what no class claims: neither trained on nor scored."""


class Label(NamedTuple):
    """One kind of thing: its name, its id on disk (`labelIds`), its class (`labelTrainIds`) and its colour (RGB)."""

    name: str
    id: int
    train_id: int
    colour: tuple[int, int, int]


LABELS: Final = (
    Label("unlabeled", 0, IGNORE, (0, 0, 0)),
    Label("ego vehicle", 1, IGNORE, (0, 0, 0)),
    Label("rectification border", 2, IGNORE, (0, 0, 0)),
    Label("out of roi", 3, IGNORE, (0, 0, 0)),
    Label("static", 4, IGNORE, (0, 0, 0)),
    Label("dynamic", 5, IGNORE, (111, 74, 0)),
    Label("ground", 6, IGNORE, (81, 0, 81)),
    Label("road", 7, 0, (128, 64, 128)),
    Label("sidewalk", 8, 1, (244, 35, 232)),
    Label("parking", 9, IGNORE, (250, 170, 160)),
    Label("rail track", 10, IGNORE, (230, 150, 140)),
    Label("building", 11, 2, (70, 70, 70)),
    Label("wall", 12, 3, (102, 102, 156)),
    Label("fence", 13, 4, (190, 153, 153)),
    Label("guard rail", 14, IGNORE, (180, 165, 180)),
    Label("bridge", 15, IGNORE, (150, 100, 100)),
    Label("tunnel", 16, IGNORE, (150, 120, 90)),
    Label("pole", 17, 5, (153, 153, 153)),
    Label("polegroup", 18, IGNORE, (153, 153, 153)),
    Label("traffic light", 19, 6, (250, 170, 30)),
    Label("traffic sign", 20, 7, (220, 220, 0)),
    Label("vegetation", 21, 8, (107, 142, 35)),
    Label("terrain", 22, 9, (152, 251, 152)),
    Label("sky", 23, 10, (70, 130, 180)),
    Label("person", 24, 11, (220, 20, 60)),
    Label("rider", 25, 12, (255, 0, 0)),
    Label("car", 26, 13, (0, 0, 142)),
    Label("truck", 27, 14, (0, 0, 70)),
    Label("bus", 28, 15, (0, 60, 100)),
    Label("caravan", 29, IGNORE, (0, 0, 90)),
    Label("trailer", 30, IGNORE, (0, 0, 110)),
    Label("train", 31, 16, (0, 80, 100)),
    Label("motorcycle", 32, 17, (0, 0, 230)),
    Label("bicycle", 33, 18, (119, 11, 32)),
)

_TRAINED: Final = sorted((label for label in LABELS if label.train_id != IGNORE), key=lambda label: label.train_id)

CLASSES: Final = tuple(label.name for label in _TRAINED)
"""The 19 class names, by train id."""

PALETTE: Final = tuple(label.colour for label in _TRAINED)
"""The 19 class colours (RGB), by train id."""

_PUBLISHED: Final = {label.id: label.train_id for label in LABELS}

TRAIN_IDS: Final[npt.NDArray[np.uint8]] = np.array([_PUBLISHED.get(id, IGNORE) for id in range(256)], dtype=np.uint8)  # noqa: A001 - the field calls it id
"""(256,) uint8: the train id of each label id; IGNORE where the data set publishes no such id."""


def colourise(train_ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture of a label map, in the data set's own colours; ignored pixels are black.

    Args:
        train_ids: (H, W) uint8, 0–18 or 255.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    colours = np.zeros((256, 3), dtype=np.uint8)
    colours[: len(PALETTE)] = PALETTE
    return colours[train_ids]


_CATEGORIES: Final = {
    "flat": ("road", "sidewalk", "parking", "rail track"),
    "construction": ("building", "wall", "fence", "guard rail", "bridge", "tunnel"),
    "object": ("pole", "polegroup", "traffic light", "traffic sign"),
    "nature": ("vegetation", "terrain"),
    "sky": ("sky",),
    "human": ("person", "rider"),
    "vehicle": ("car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
}
"""Each category's labels; what is in none is void. An ignored label is no part of its category's score."""

_AVERAGE_SIZES: Final = {
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "car": 12794.0202738185,
    "truck": 27855.1264367816,
    "bus": 35732.1511111111,
    "caravan": 36771.8241758242,
    "trailer": 16926.9763313609,
    "train": 67583.7075812274,
    "motorcycle": 6298.7200839748,
    "bicycle": 4672.3249222261,
}
"""Pixels of an average instance, as cityscapesscripts' evalPixelLevelSemanticLabeling.py has them."""

_CATEGORY_OF: Final = {label: category for category, labels in _CATEGORIES.items() for label in labels}

CITYSCAPES: Final = LabelTable(
    "Cityscapes",
    tuple(
        ScoredLabel(
            label.name,
            category=_CATEGORY_OF.get(label.name, "void"),
            ignored=label.train_id == IGNORE,
            answer=None if label.train_id == IGNORE else label.train_id,
            average_size=_AVERAGE_SIZES.get(label.name),
            colour=label.colour,
        )
        for label in LABELS
    ),
)
"""What Cityscapes is scored by: its 34 label ids, 19 of which count."""
