"""Street scenes drawn by program, in the layout of Cityscapes: something to learn from where the data set is absent.

All 19 classes and ignored regions occur over a set. Everything is integer arithmetic on draws that have names, so the
pixels are the same on every machine and with every version of Python and numpy. The PNG files around them are not: a
newer encoder may pack the same pixels differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, final

import cv2
import numpy as np
import numpy.typing as npt

from harness.values.errors import DataError
from models.datasets.drawing.street import draw_street
from models.datasets.draws import Draws
from models.datasets.labels import CITYSCAPES, TRAIN_IDS

__all__ = ["REVISION", "Scene", "SceneSet", "draw_scene", "write_scenes"]

REVISION: Final = 3
"""Goes up whenever a change of the program changes a pixel, or which files a set has: 3 added the instance maps."""

_CITIES: Final = ("ahornstadt", "birkenfurt", "eichenau", "lindenburg")

_WITH_INSTANCES: Final = [id_ for id_, label in enumerate(CITYSCAPES.labels) if label.average_size is not None]

_SMALLEST: Final = 32
_LARGEST: Final = 4096


@final
@dataclass(frozen=True)
class SceneSet:
    """Which scenes to draw.

    Args:
        count: number of scenes in a split, 1–100 000.
        height: of each picture, 32–4096 pixels; Cityscapes has 1024.
        width: of each picture, 32–4096 pixels; Cityscapes has 2048.
        seed: names the set; any integer.

    Raises:
        DataError: a setting is outside its bounds.
    """

    count: int = 24
    height: int = 128
    width: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        bounds = {"count": (1, 100_000), "height": (_SMALLEST, _LARGEST), "width": (_SMALLEST, _LARGEST)}
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = bounds.get(field.name, (value, value))
            if type(value) is not int or not low <= value <= high:
                allowed = "an integer" if field.name == "seed" else f"an integer from {low} to {high}"
                raise DataError(
                    "Scenes can't be drawn like this",
                    where=f"scenes.{field.name}",
                    observed=repr(value),
                    allowed=allowed,
                )

    @classmethod
    def of(cls, settings: Mapping[str, int]) -> SceneSet:
        """The set that a config's dict describes.

        Raises:
            DataError: a setting has no such name, or is outside its bounds.
        """
        known = [field.name for field in fields(cls)]
        strangers = sorted(set(settings) - set(known))
        if strangers:
            raise DataError("Scenes have no such setting", where="scenes", observed=strangers, allowed=known)
        return cls(**settings)


@final
@dataclass(frozen=True)
class Scene:
    """A picture (H, W, 3) uint8 RGB, its labels (H, W) uint8 by label id, and the object of each pixel (H, W) uint16.

    Objects are numbered from 1 in each scene; 0 is what belongs to none. A rider and the bicycle under it have one
    number, and differ by their labels.
    """

    image: npt.NDArray[np.uint8]
    label_ids: npt.NDArray[np.uint8]
    objects: npt.NDArray[np.uint16]

    @property
    def train_ids(self) -> npt.NDArray[np.uint8]:
        """(H, W) uint8: 0–18, and 255 for what is ignored."""
        train_ids: npt.NDArray[np.uint8] = TRAIN_IDS[self.label_ids]
        return train_ids

    @property
    def instance_ids(self) -> npt.NDArray[np.uint16]:
        """(H, W) uint16 as Cityscapes' `instanceIds`: the label id, × 1000 + number where its class has instances."""
        ids = self.label_ids.astype(np.uint16)
        counted = np.isin(ids, _WITH_INSTANCES) & (self.objects > 0)
        instance_ids: npt.NDArray[np.uint16] = np.where(counted, ids * 1000 + self.objects, ids).astype(np.uint16)
        return instance_ids


def draw_scene(scenes: SceneSet, split: str, index: int) -> Scene:
    """Draw one scene of a set; it doesn't depend on how many the set has."""
    canvas = draw_street(scenes.height, scenes.width, index, Draws("scene", scenes.seed, split, index))
    return Scene(canvas.image, canvas.labels, canvas.objects)


def write_scenes(root: Path, scenes: SceneSet, split: str) -> None:
    """Draw a set into `root/leftImg8bit/<split>` and `root/gtFine/<split>`: label ids, train ids and instances.

    Raises:
        OSError: a file can't be written.
    """
    for index in range(scenes.count):
        city = _CITIES[index % len(_CITIES)]
        stem = f"{city}_{index:06d}_{0:06d}"
        images, labels = (root / kind / split / city for kind in ("leftImg8bit", "gtFine"))
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        scene = draw_scene(scenes, split, index)
        _write(images / f"{stem}_leftImg8bit.png", scene.image[..., ::-1])
        _write(labels / f"{stem}_gtFine_labelIds.png", scene.label_ids)
        _write(labels / f"{stem}_gtFine_labelTrainIds.png", scene.train_ids)
        _write(labels / f"{stem}_gtFine_instanceIds.png", scene.instance_ids)


def _write(path: Path, pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> None:
    packed, content = cv2.imencode(".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not packed:
        raise OSError(f"OpenCV can't encode {path.name}")
    path.write_bytes(content.tobytes())
