"""The images that a model is evaluated on: files, label table, and how a label map is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from harness.accuracy.label_table import LabelTable
from harness.values.errors import DataError
from models.datasets.cityscapes import CityscapesDataset, ImageFiles
from models.datasets.labels import CITYSCAPES
from models.datasets.transforms.loading import read_instance_map, read_label_ids

__all__ = ["EvaluationSet", "evaluation_set"]


class EvaluationSet(Protocol):
    """A split of a data set."""

    table: LabelTable
    place: str
    """Where it lies, or what it was generated from."""

    @property
    def files(self) -> tuple[ImageFiles, ...]:
        """Every image's files."""

    def read_labels(self, files: ImageFiles, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """(H, W) label ids of an image that has labels."""

    def read_instances(self, files: ImageFiles, size: tuple[int, int]) -> npt.NDArray[np.uint16] | None:
        """(H, W) instance ids; None where there is no instance map."""


class _Cityscapes:
    def __init__(self, data_root: str | None, split: str, scenes: Mapping[str, int] | None) -> None:
        self._data = CityscapesDataset(data_root, split, scenes)
        self.table = CITYSCAPES
        self.place = f"generated scenes {dict(scenes or {})}" if data_root is None else str(Path(data_root).absolute())
        self.files = self._data.files

    def read_labels(self, files: ImageFiles, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        assert files.labels is not None  # noqa: S101  # asked of images with labels
        return read_label_ids(files.labels, size)

    def read_instances(self, files: ImageFiles, size: tuple[int, int]) -> npt.NDArray[np.uint16] | None:
        return None if files.instances is None else read_instance_map(files.instances, size)


def evaluation_set(config: Mapping[str, Any], split: str, data_root: str | None = None) -> EvaluationSet:
    """The split of the data set that a config trains on or validates on.

    Args:
        config: a Runner's config: `val_dataloader.dataset`, else `train_dataloader.dataset`.
        split: "train", "val" or "test".
        data_root: where it lies; what the config says where None.

    Raises:
        DataError: the config's data set isn't one that can be evaluated here, or it isn't there.
    """
    field = "val_dataloader" if (config.get("val_dataloader") or {}).get("dataset") else "train_dataloader"
    dataset = (config.get(field) or {}).get("dataset") or {}
    while isinstance(dataset, Mapping) and isinstance(dataset.get("dataset"), Mapping):  # RepeatDataset and its like
        dataset = dataset["dataset"]
    kind = dataset.get("type")
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", kind)
    root = data_root or dataset.get("data_root")
    if name == "CityscapesDataset":
        return _Cityscapes(root, split, dataset.get("scenes"))
    raise DataError(
        "this data set can't be evaluated here",
        where=f"{field}.dataset.type",
        observed=name,
        allowed="CityscapesDataset",
    )
