"""From the disk into the pipeline, with nothing broken let through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import mmcv
import numpy as np
import numpy.typing as npt

from harness.values.errors import DataError
from models.datasets.labels import CLASSES, IGNORE, LABELS, TRAIN_IDS
from models.registry import TRANSFORMS

__all__ = ["LoadAnnotations", "LoadImageFromFile", "read_png"]

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
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError("A picture can't be read", where=path, observed=error.strerror or error, hint=_HINT) from error
    # Some decoders fill what is missing with grey instead of refusing it.
    if not content.endswith(_PNG_END):
        observed = f"{len(content)} bytes that don't end as a PNG does"
        raise DataError("A picture is cut short, or no PNG", where=path, observed=observed, hint=_HINT)
    pixels = mmcv.imfrombytes(content, flag=flag, backend="cv2")
    if pixels is None:
        raise DataError("A picture can't be decoded", where=path, observed="damaged PNG data", hint=_HINT)
    if pixels.dtype != np.uint8:
        raise DataError("A picture has the wrong depth", where=path, observed=pixels.dtype, allowed="uint8")
    decoded: npt.NDArray[np.uint8] = pixels
    return decoded


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
            DataError: the file is missing or damaged, has more than one channel, another size than the image, or ids
                that Cityscapes doesn't have.
        """
        path = sample["seg_map_path"]
        ids = read_png(path, "unchanged")
        if ids.shape != tuple(sample["ori_shape"]):
            raise DataError(
                "A label map doesn't fit its image",
                where=path,
                observed=ids.shape,
                allowed=f"{tuple(sample['ori_shape'])}, the size of {sample['img_path']}",
            )
        if not str(path).endswith("_labelIds.png"):
            _refuse_strangers(path, ids, len(CLASSES) - 1)
            return sample | {"gt_seg_map": ids}
        _refuse_strangers(path, ids, LABELS[-1].id)
        return sample | {"gt_seg_map": TRAIN_IDS[ids]}


def _refuse_strangers(path: object, ids: npt.NDArray[np.uint8], highest: int) -> None:
    strangers = ids[(ids > highest) & (ids != IGNORE)]
    if strangers.size:
        raise DataError(
            "A label map holds ids that Cityscapes doesn't have",
            where=path,
            observed=f"{sorted(set(strangers.tolist()))}, {strangers.size} pixels",
            allowed=f"0–{highest} and {IGNORE}",
        )
