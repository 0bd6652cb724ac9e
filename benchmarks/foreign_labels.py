"""The generated street scenes as detection and classification have their data: boxes of COCO, a list of ImageNet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from harness.store.atomic import write_text
from models.datasets.transforms.loading import read_image

__all__ = ["BOXES", "CLASSES", "label_scenes"]

BOXES = "boxes.json"
CLASSES = "classes.txt"

_NAMES = {1: "person", 3: "car", 10: "traffic light"}
"""COCO's numbers of classes that a street has."""


def label_scenes(scenes: Path) -> None:
    """Write both files into the scenes' folder: drawn boxes and classes, the same each time.

    They describe nothing that is in the images: a training of a few iterations needs them to be there alone.
    """
    rng = np.random.default_rng(0)
    images, boxes, lines = [], [], []
    for number, path in enumerate(sorted((scenes / "leftImg8bit" / "train").rglob("*.png")), start=1):
        height, width = read_image(path).shape[:2]
        name = path.relative_to(scenes).as_posix()
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        lines.append(f"{name} {rng.integers(1000)}")
        for _ in range(4):
            w, h = (int(rng.integers(side // 8, side // 2)) for side in (width, height))
            corner = [int(rng.integers(width - w)), int(rng.integers(height - h))]
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": number,
                    "category_id": int(rng.choice(list(_NAMES))),
                    "bbox": [*corner, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in _NAMES.items()]
    write_text(scenes / BOXES, json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    write_text(scenes / CLASSES, "\n".join(lines) + "\n")
