"""Five small scenes as files, and the pipelines that read them."""

from __future__ import annotations

from pathlib import Path

PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations"},
    {"type": "RandomCrop", "crop_size": (32, 48), "cat_max_ratio": 0.75},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PhotoMetricDistortion"},
    {"type": "PackSegInputs"},
]
PLAIN = [PIPELINE[0], PIPELINE[1], PIPELINE[-1]]
SCENES = {"count": 5, "height": 48, "width": 96, "seed": 3}


def images(root: Path) -> list[Path]:
    return sorted((root / "leftImg8bit").rglob("*.png"))


def labels(root: Path, kind: str = "labelTrainIds") -> list[Path]:
    return sorted((root / "gtFine").rglob(f"*_{kind}.png"))
