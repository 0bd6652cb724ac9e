"""Cityscapes as it lies on disk, or the generated street scenes that stand in for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from torch.utils.data import Dataset

from harness.values.errors import DataError
from models.datasets.draws import Draws
from models.datasets.labels import CLASSES, PALETTE
from models.datasets.sampler import Ticket
from models.datasets.scene_cache import cached_scenes
from models.datasets.scenes import SceneSet
from models.registry import DATASETS, TRANSFORMS

__all__ = ["CityscapesDataset", "ImageFiles"]

_IMAGE: Final = "_leftImg8bit.png"
_LABELS: Final = ("_gtFine_labelTrainIds.png", "_gtFine_labelIds.png")
_INSTANCES: Final = "_gtFine_instanceIds.png"
_SPLITS: Final = ("train", "val", "test")

Sample = dict[str, Any]


class _Pair(NamedTuple):
    image: Path
    labels: Path | None


class ImageFiles(NamedTuple):
    """One image of a data set: its name, `<city>/<stem>`, and its files; None for what it doesn't have."""

    name: str
    image: Path
    labels: Path | None
    instances: Path | None


@DATASETS.register_module()
class CityscapesDataset(Dataset[Sample]):
    """Images and label maps of one split, in the order of their paths.

    In a config:

        dict(
            type="CityscapesDataset",
            data_root=None,  # or the folder that holds leftImg8bit/ and gtFine/
            split="train",
            scenes=dict(count=24, height=128, width=256, seed=0),
            pipeline=[dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"), ..., dict(type="PackSegInputs")],
        )

    What a sample's transforms draw, they draw from numpy's legacy generator and Python's own. Asked for with a
    `Ticket`, which `TicketSampler` gives, both are seeded from the ticket's seed and position for the time of that
    sample and put back after it: a batch is then the same with any number of loader workers, forked or spawned. Asked
    for with a plain index, as other samplers do, the generators are used as they stand, as mmengine seeds them.

    Args:
        data_root: holds `leftImg8bit/<split>/<city>/*_leftImg8bit.png` and `gtFine/<split>/<city>/`, where each image
            has `*_gtFine_labelTrainIds.png` or, failing that, `*_gtFine_labelIds.png`. None stands for the generated
            scenes, drawn once and kept (see `scene_cache`). A folder that isn't there is an error, never generated.
        split: "train", "val" or "test"; the images of "test" have no labels, as the benchmark keeps them.
        scenes: settings of `SceneSet` for the generated scenes; not looked at where `data_root` is given.
        pipeline: transforms, each a config dict or a callable; with none, a sample is its paths.

    Raises:
        DataError: a setting is outside its bounds, the root is missing, the split is empty, or an image has no labels
            in "train" or "val".
    """

    def __init__(
        self,
        data_root: str | Path | None = None,
        split: str = "train",
        scenes: Mapping[str, int] | None = None,
        pipeline: Sequence[Mapping[str, Any] | Callable[[Sample], Sample]] = (),
    ) -> None:
        if split not in _SPLITS:
            raise DataError("There is no such split", where="CityscapesDataset.split", observed=split, allowed=_SPLITS)
        root = cached_scenes(SceneSet.of(scenes or {}), split) if data_root is None else Path(data_root).expanduser()
        self.data_root = root
        self.split = split
        self.metainfo = {"classes": CLASSES, "palette": PALETTE, "generated": data_root is None}
        self._pairs = _pairs(root, split)
        self._transforms = [step if callable(step) else TRANSFORMS.build(dict(step)) for step in pipeline]

    def __len__(self) -> int:
        """The number of images."""
        return len(self._pairs)

    @property
    def files(self) -> tuple[ImageFiles, ...]:
        """Every image's files, in the data set's order."""
        return tuple(_files_of(pair, self.data_root / "gtFine" / self.split) for pair in self._pairs)

    def __getitem__(self, ticket: Ticket | int) -> Sample:
        """The sample after its pipeline.

        Raises:
            DataError: a file of it is missing, damaged or doesn't fit; says which.
        """
        if not isinstance(ticket, Ticket):
            return self._prepared({"index": ticket, **self._paths(ticket)})
        with _own_randomness(ticket):
            return self._prepared({"index": ticket.index, "position": ticket.position, **self._paths(ticket.index)})

    def _paths(self, index: int) -> Sample:
        pair = self._pairs[index]
        paths = {"img_path": str(pair.image)}
        return paths if pair.labels is None else paths | {"seg_map_path": str(pair.labels)}

    def _prepared(self, sample: Sample) -> Sample:
        for transform in self._transforms:
            sample = transform(sample)
        return sample


@contextmanager
def _own_randomness(ticket: Ticket) -> Iterator[None]:
    """Seed the two generators that transforms draw from by the ticket, and put them back afterwards."""
    word = Draws("augmentation", ticket.seed, ticket.position).word()
    numpy_state, python_state = np.random.get_state(), random.getstate()
    np.random.seed((word & 0xFFFFFFFF, word >> 32))
    random.seed(word)
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def _pairs(root: Path, split: str) -> tuple[_Pair, ...]:
    images = root / "leftImg8bit" / split
    if not images.is_dir():
        raise DataError(
            "The data set isn't there",
            where=images,
            observed="no such folder" if root.is_dir() else f"no folder {root}",
            allowed="a folder of cities with *_leftImg8bit.png, as Cityscapes has it",
            hint="point data_root at the folder that holds leftImg8bit/ and gtFine/, "
            "or leave it at None for generated scenes",
        )
    found = sorted(images.glob(f"*/*{_IMAGE}"))
    if not found:
        raise DataError("A split has no images", where=images, observed=0, allowed=f"<city>/*{_IMAGE}")
    if split == "test":  # what lies in its gtFine is void alone: the benchmark's server keeps the labels
        return tuple(_Pair(image, None) for image in found)
    return tuple(_Pair(image, _labels_of(image, root / "gtFine" / split)) for image in found)


def _files_of(pair: _Pair, labels: Path) -> ImageFiles:
    city, stem = pair.image.parent.name, pair.image.name.removesuffix(_IMAGE)
    instances = labels / city / (stem + _INSTANCES)
    has_instances = pair.labels is not None and instances.is_file()
    return ImageFiles(f"{city}/{stem}", pair.image, pair.labels, instances if has_instances else None)


def _labels_of(image: Path, labels: Path) -> Path:
    stem = image.name.removesuffix(_IMAGE)
    candidates = [labels / image.parent.name / (stem + ending) for ending in _LABELS]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DataError(
        "An image has no label map",
        where=image,
        observed=f"neither of {', '.join(path.name for path in candidates)}",
        allowed=f"one of them in {candidates[0].parent}",
        hint="unpack gtFine_trainvaltest.zip beside leftImg8bit_trainvaltest.zip",
    )
