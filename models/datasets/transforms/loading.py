"""From the disk into the pipeline, with nothing broken let through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from harness.values.errors import DataError
from models.datasets.labels import CITYSCAPES, CLASSES, IGNORE, LABELS, TRAIN_IDS
from models.registry import TRANSFORMS

__all__ = ["LoadAnnotations", "LoadImageFromFile", "read_instance_map", "read_label_ids", "read_png"]

_LABEL_IDS = np.zeros(256, np.uint8)
_LABEL_IDS[: len(CLASSES)] = CITYSCAPES.ids_of_answers
"""(256,) the label id of each train id; 0, unlabeled, for what is ignored."""

_PNG_END = b"IEND\xaeB`\x82"
_HINT = "copy the file again from its source; for generated scenes remove their folder, the next run draws them anew"


def read_png(path: Path | str, flag: Literal["color", "unchanged"]) -> npt.NDArray[np.uint8]:
    """The pixels of a whole PNG file.

    Args:
        path: of the file.
        flag: "color" gives (H, W, 3) BGR; "unchanged" gives what is stored, (H, W) for a label map.

    Returns:
        uint8.

    Raises:
        DataError: the file can't be read, isn't a PNG, ends early, or doesn't hold 8 bits a channel.
    """
    pixels = _decoded(path, flag)
    if pixels.dtype != np.uint8:
        raise DataError("A picture has the wrong depth", where=path, observed=pixels.dtype, allowed="uint8")
    return pixels


def read_instance_map(path: Path | str, size: tuple[int, ...]) -> npt.NDArray[np.uint16]:
    """Cityscapes' `instanceIds`: (H, W) uint16.

    Raises:
        DataError: the file is missing or damaged, has another size than the image, or isn't of 8 or 16 bits.
    """
    ids = _decoded(path, "unchanged")
    if ids.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise DataError("An instance map has the wrong depth", where=path, observed=ids.dtype, allowed="uint16")
    if ids.shape != size:
        raise DataError("An instance map doesn't fit its image", where=path, observed=ids.shape, allowed=size)
    wide: npt.NDArray[np.uint16] = ids.astype(np.uint16)
    return wide


def read_label_ids(path: Path | str, size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The label map of an image by label id, from a file of label ids or of train ids; ignored pixels are 0 there.

    Raises:
        DataError: the file is missing or damaged, has another size than the image, or its values are the other kind's.
    """
    ids = _checked_ids(path, size)
    if not str(path).endswith("_labelIds.png"):
        return _LABEL_IDS[ids]
    return ids


def _decoded(path: Path | str, flag: str) -> npt.NDArray[Any]:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError("A picture can't be read", where=path, observed=error.strerror or error, hint=_HINT) from error
    # Some decoders fill what is missing with grey instead of refusing it.
    if not content.endswith(_PNG_END):
        observed = f"{len(content)} bytes that don't end as a PNG does"
        raise DataError("A picture is cut short, or no PNG", where=path, observed=observed, hint=_HINT)
    how = cv2.IMREAD_COLOR if flag == "color" else cv2.IMREAD_UNCHANGED
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), how)
    if pixels is None:
        raise DataError("A picture can't be decoded", where=path, observed="damaged PNG data", hint=_HINT)
    decoded: npt.NDArray[Any] = pixels
    return decoded


def _checked_ids(path: Path | str, size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """What a label map holds, of the size of its image, and ids of the kind that its name says."""
    ids = read_png(path, "unchanged")
    if ids.shape != size:
        raise DataError(
            "A label map doesn't fit its image", where=path, observed=ids.shape, allowed=f"{size}, the image's"
        )
    by_label = str(path).endswith("_labelIds.png")
    _refuse_strangers(path, ids, LABELS[-1].id if by_label else len(CLASSES) - 1)
    # No label id is 255: a file that has it, and else classes alone, holds train ids whatever it is called.
    if by_label and (ids == IGNORE).any() and int(ids[ids != IGNORE].max(initial=0)) < len(CLASSES):
        raise DataError(
            "A file of label ids holds train ids",
            where=path,
            observed=f"values up to {len(CLASSES) - 1}, and {IGNORE}",
            allowed=f"label ids, 0–{LABELS[-1].id}, of which none is {IGNORE}",
            hint=f"rename it to {Path(path).name.replace('_labelIds', '_labelTrainIds')}, or unpack gtFine again",
        )
    return ids


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class LoadImageFromFile:
    """Reads `img_path` into `img`, (H, W, 3) uint8 BGR, as mmcv's transform of that name does, but fails closed."""

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add `img`, `img_shape` and `ori_shape`.

        Raises:
            DataError: the file is missing, cut short or damaged.
        """
        image = read_png(sample["img_path"], "color")
        return sample | {"img": image, "img_shape": image.shape[:2], "ori_shape": image.shape[:2]}


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class LoadAnnotations:
    """Reads `seg_map_path` into `gt_seg_map`, (H, W) uint8 train ids: 0–18, and 255 for what is ignored.

    A file named `*_labelIds.png` holds the 34 label ids of the data set and is mapped to train ids; any other holds
    train ids already.
    """

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add `gt_seg_map`.

        Raises:
            DataError: the file is missing or damaged, has more than one channel, another size than the image, ids that
                Cityscapes doesn't have, or ids of the other kind than its name says.
        """
        path = sample["seg_map_path"]
        ids = _checked_ids(path, tuple(sample["ori_shape"]))
        return sample | {"gt_seg_map": TRAIN_IDS[ids] if str(path).endswith("_labelIds.png") else ids}


def _refuse_strangers(path: object, ids: npt.NDArray[np.uint8], highest: int) -> None:
    strangers = ids[(ids > highest) & (ids != IGNORE)]
    if strangers.size:
        others = highest < int(strangers.max()) <= LABELS[-1].id  # can only be where train ids were said
        raise DataError(
            "A file of train ids holds label ids" if others else "A label map holds ids that Cityscapes doesn't have",
            where=path,
            observed=f"{sorted(set(strangers.tolist()))}, {strangers.size} pixels",
            allowed=f"0–{highest} and {IGNORE}",
            hint="rename it to *_gtFine_labelIds.png, or make train ids of it: "
            "python -m cityscapesscripts.preparation.createTrainIdLabelImgs"
            if others
            else None,
        )
