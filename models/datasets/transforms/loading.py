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

__all__ = [
    "LoadAnnotations",
    "LoadImageFromFile",
    "read_classes",
    "read_image",
    "read_instance_map",
    "read_label_ids",
    "read_png",
]

_LABEL_IDS = np.zeros(256, np.uint8)
_LABEL_IDS[: len(CLASSES)] = CITYSCAPES.ids_of_answers
"""(256,) the label id of each train id; 0, unlabeled, for what is ignored."""

_PNG_END = b"IEND\xaeB`\x82"
_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"
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
    return _of_bytes(path, _decoded(path, flag))


def read_image(path: Path | str) -> npt.NDArray[np.uint8]:
    """The pixels of a whole PNG or JPEG file: (H, W, 3) uint8 BGR.

    Raises:
        DataError: the file can't be read, is neither, ends early, or doesn't hold 8 bits a channel.
    """
    return _of_bytes(path, _decoded(path, "color", jpeg=True))


def _of_bytes(path: Path | str, pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
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


def read_classes(
    path: Path | str, size: tuple[int, ...], classes: int, *, reduce_zero_label: bool
) -> npt.NDArray[np.uint8]:
    """A label map as it lies on disk: (H, W) uint8, the class of each pixel, 255 where it has none.

    Args:
        path: of the PNG file.
        size: (H, W) of its image.
        classes: K, how many the data set has.
        reduce_zero_label: whether 0 is ignored and value v is class v − 1.

    Raises:
        DataError: the file is missing or damaged, has another size than the image, or holds a value beyond the classes.
    """
    values = read_png(path, "unchanged")
    _require_size(path, values, size)
    highest = classes if reduce_zero_label else classes - 1
    strangers = values[(values > highest) & (values != IGNORE)]
    if strangers.size:
        by_zero = not reduce_zero_label and int(strangers.max()) == classes
        raise DataError(
            "A label map holds values beyond the data set's classes",
            where=path,
            observed=f"{sorted(set(strangers.tolist()))[:8]}, {strangers.size} pixels",
            allowed=f"0–{highest} and {IGNORE}: {classes} classes, "
            + ("reduce_zero_label" if reduce_zero_label else "0 the first of them"),
            hint="reduce_zero_label=True, if 0 is no class" if by_zero else None,
        )
    if not reduce_zero_label:
        return values
    reduced: npt.NDArray[np.uint8] = np.where((values == 0) | (values == IGNORE), IGNORE, values - np.uint8(1))
    return reduced


def _decoded(path: Path | str, flag: str, *, jpeg: bool = False) -> npt.NDArray[Any]:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError("A picture can't be read", where=path, observed=error.strerror or error, hint=_HINT) from error
    kind = "JPEG" if jpeg and content.startswith(_JPEG_START) else "PNG"
    # Some decoders fill what is missing with grey instead of refusing it. A JPEG's pixels never look like a marker, so
    # one that is whole has its end marker behind its last scan; what cameras append behind that doesn't matter.
    whole = content.rfind(_JPEG_END) > content.rfind(_JPEG_SCAN) if kind == "JPEG" else content.endswith(_PNG_END)
    if not whole:
        observed = f"{len(content)} bytes that don't end as a {kind} does"
        wanted = "PNG or JPEG" if jpeg and kind == "PNG" else kind
        raise DataError(f"A picture is cut short, or no {wanted}", where=path, observed=observed, hint=_HINT)
    how = cv2.IMREAD_COLOR if flag == "color" else cv2.IMREAD_UNCHANGED
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), how)
    if pixels is None:
        raise DataError("A picture can't be decoded", where=path, observed=f"damaged {kind} data", hint=_HINT)
    decoded: npt.NDArray[Any] = pixels
    return decoded


def _require_size(path: Path | str, labels: npt.NDArray[np.uint8], size: tuple[int, ...]) -> None:
    if labels.shape != size:
        raise DataError(
            "A label map doesn't fit its image", where=path, observed=labels.shape, allowed=f"{size}, the image's"
        )


def _checked_ids(path: Path | str, size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """What a label map holds, of the size of its image, and ids of the kind that its name says."""
    ids = read_png(path, "unchanged")
    _require_size(path, ids, size)
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
        image = read_image(sample["img_path"])
        return sample | {"img": image, "img_shape": image.shape[:2], "ori_shape": image.shape[:2]}


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class LoadAnnotations:
    """Reads `seg_map_path` into `gt_seg_map`, (H, W) uint8 classes, and 255 for what is ignored.

    Of a data set that says how many `classes` it has, the file holds them, from 0 or by `reduce_zero_label` from 1 on.
    Else it is of Cityscapes: one named `*_labelIds.png` holds the 34 label ids and is mapped to the 19 train ids; any
    other holds train ids already.

    Args:
        reduce_zero_label: the data set's own where None; a pipeline that says another is refused.
    """

    reduce_zero_label: bool | None = None

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add `gt_seg_map`.

        Raises:
            DataError: the file is missing or damaged, has more than one channel, another size than the image, values
                that the data set doesn't have, or ids of the other kind than its name says.
        """
        path = sample["seg_map_path"]
        reduced = bool(sample.get("reduce_zero_label", False))
        if self.reduce_zero_label is not None and self.reduce_zero_label != reduced:
            raise DataError(
                "The pipeline reads labels otherwise than the data set has them",
                where="LoadAnnotations.reduce_zero_label",
                observed=self.reduce_zero_label,
                allowed=f"{reduced}, the data set's, or none",
            )
        if "classes" in sample:
            labels = read_classes(path, tuple(sample["ori_shape"]), sample["classes"], reduce_zero_label=reduced)
            return sample | {"gt_seg_map": labels}
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
