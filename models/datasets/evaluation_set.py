"""The images that a model is evaluated on: files, label table, and how a label map is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from harness.accuracy.label_table import LabelTable
from harness.values.errors import DataError
from models.datasets.cityscapes import CityscapesDataset
from models.datasets.labelled_folders import (
    ADE20KDataset,
    LabelledFolders,
    PascalContextDataset,
    PascalContextDataset59,
)
from models.datasets.labels import CITYSCAPES
from models.datasets.segmentation_set import ImageFiles, SegmentationSet
from models.datasets.transforms.loading import read_classes, read_instance_map, read_label_ids

__all__ = ["EvaluationSet", "as_evaluation_set", "evaluated_settings", "evaluation_set"]

_KINDS: Final[dict[str, type[LabelledFolders]]] = {
    kind.__name__: kind for kind in (ADE20KDataset, PascalContextDataset, PascalContextDataset59)
}


class EvaluationSet(Protocol):
    """A split of a data set."""

    table: LabelTable
    place: str
    """Where it lies, or what it was generated from."""

    export_ending: str
    """What follows an image's own name in the file that a benchmark's server wants."""

    @property
    def files(self) -> tuple[ImageFiles, ...]:
        """Every image's files."""

    def read_labels(self, files: ImageFiles, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """(H, W) label ids of an image that has labels."""

    def read_instances(self, files: ImageFiles, size: tuple[int, int]) -> npt.NDArray[np.uint16] | None:
        """(H, W) instance ids; None where there is no instance map."""


class _Cityscapes:
    table = CITYSCAPES
    export_ending = "_leftImg8bit.png"

    def __init__(self, data: CityscapesDataset, place: str) -> None:
        self.place = place
        self.files = data.files

    def read_labels(self, files: ImageFiles, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        assert files.labels is not None  # noqa: S101  # asked of images with labels
        return read_label_ids(files.labels, size)

    def read_instances(self, files: ImageFiles, size: tuple[int, int]) -> npt.NDArray[np.uint16] | None:
        return None if files.instances is None else read_instance_map(files.instances, size)


class _Folders:
    export_ending = ".png"

    def __init__(self, data: LabelledFolders) -> None:
        self.table = data.table
        self.place = str(data.data_root.absolute())
        self.files = data.files
        self._reduced = bool(data.metainfo["reduce_zero_label"])
        self._ids = np.full(256, next(i for i, label in enumerate(self.table.labels) if label.ignored), np.uint8)
        self._ids[: self.table.classes] = self.table.ids_of_answers

    def read_labels(self, files: ImageFiles, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        assert files.labels is not None  # noqa: S101  # each image has labels
        return self._ids[read_classes(files.labels, size, self.table.classes, reduce_zero_label=self._reduced)]

    def read_instances(self, files: ImageFiles, size: tuple[int, int]) -> npt.NDArray[np.uint16] | None:
        return None


def as_evaluation_set(data: SegmentationSet) -> EvaluationSet:
    """A data set as one that a model is evaluated on.

    Raises:
        DataError: it is none of those that can be.
    """
    if isinstance(data, CityscapesDataset):
        return _Cityscapes(data, "generated scenes" if data.metainfo["generated"] else str(data.data_root.absolute()))
    if isinstance(data, LabelledFolders):
        return _Folders(data)
    raise DataError(
        "this data set can't be evaluated here",
        where="dataset.type",
        observed=type(data).__name__,
        allowed=", ".join(["CityscapesDataset", *_KINDS]),
    )


def evaluation_set(config: Mapping[str, Any], split: str, data_root: str | None = None) -> EvaluationSet:
    """The split of the data set that a config trains on or validates on.

    Args:
        config: a Runner's config: `val_dataloader.dataset`, else `train_dataloader.dataset`.
        split: "train", "val" or "test".
        data_root: where it lies; what the config says where None.

    Raises:
        DataError: the config's data set isn't one that can be evaluated here, or it isn't there.
    """
    settings = evaluated_settings(config)
    name, root = settings.pop("type"), data_root or settings.pop("data_root", None)
    if name in _KINDS:
        return _Folders(_KINDS[name](root, split, reduce_zero_label=settings["reduce_zero_label"]))
    scenes = settings["scenes"]
    place = f"generated scenes {dict(scenes or {})}" if root is None else str(Path(root).absolute())
    return _Cityscapes(CityscapesDataset(root, split, scenes), place)


def evaluated_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the data set that a config validates on, else of the one that it trains on; no split or pipeline.

    Raises:
        DataError: it isn't one that can be evaluated here.
    """
    field = "val_dataloader" if (config.get("val_dataloader") or {}).get("dataset") else "train_dataloader"
    dataset = (config.get(field) or {}).get("dataset") or {}
    while isinstance(dataset, Mapping) and isinstance(dataset.get("dataset"), Mapping):  # RepeatDataset and its like
        dataset = dataset["dataset"]
    kind = dataset.get("type")
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", kind)
    name = name.rpartition(".")[2] if isinstance(name, str) else name
    common = {"type": name, "data_root": dataset.get("data_root")}
    if name == "CityscapesDataset":
        return {**common, "scenes": dataset.get("scenes")}
    if isinstance(name, str) and name in _KINDS:
        own = dataset.get("reduce_zero_label")
        return {**common, "reduce_zero_label": _KINDS[name].reduced if own is None else own}
    raise DataError(
        "this data set can't be evaluated here",
        where=f"{field}.dataset.type",
        observed=name,
        allowed=", ".join(["CityscapesDataset", *_KINDS]),
    )
