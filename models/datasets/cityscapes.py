"""Cityscapes as it lies on disk, or the generated street scenes that stand in for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from harness.values.errors import DataError
from models.datasets.labels import CLASSES, PALETTE
from models.datasets.scene_cache import cached_scenes
from models.datasets.scenes import SceneSet
from models.datasets.segmentation_set import ImageFiles, Pipeline, SegmentationSet, require_split
from models.registry import DATASETS

__all__ = ["CityscapesDataset"]

_IMAGE: Final = "_leftImg8bit.png"
_LABELS: Final = ("_gtFine_labelTrainIds.png", "_gtFine_labelIds.png")
_INSTANCES: Final = "_gtFine_instanceIds.png"
_SPLITS: Final = {"train": ("train",), "val": ("val",), "test": ("test",), "train+val": ("train", "val")}


@DATASETS.register_module()
class CityscapesDataset(SegmentationSet):
    """Images and label maps of one split, in the order of their paths.

    In a config:

        dict(
            type="CityscapesDataset",
            data_root=None,  # or the folder that holds leftImg8bit/ and gtFine/
            split="train",
            scenes=dict(count=24, height=128, width=256, seed=0),
            pipeline=[dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"), ..., dict(type="PackSegInputs")],
        )

    What its transforms draw is said at `SegmentationSet`.

    Args:
        data_root: holds `leftImg8bit/<split>/<city>/*_leftImg8bit.png` and `gtFine/<split>/<city>/`, where each image
            has `*_gtFine_labelTrainIds.png` or, failing that, `*_gtFine_labelIds.png`. None stands for the generated
            scenes, drawn once and kept (see `scene_cache`). A folder that isn't there is an error, never generated.
        split: "train", "val", "test" or "train+val", what a model for the benchmark's server is trained on; the images
            of "test" have no labels, as the benchmark keeps them.
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
        pipeline: Pipeline = (),
    ) -> None:
        require_split("CityscapesDataset", split, tuple(_SPLITS))
        parts = _SPLITS[split]
        if data_root is None:
            roots = [cached_scenes(SceneSet.of(scenes or {}), part) for part in parts]
        else:
            roots = [Path(data_root).expanduser()] * len(parts)
        self.data_root = roots[0]
        self.split = split
        self.metainfo = {"classes": CLASSES, "palette": PALETTE, "generated": data_root is None}
        files = [file for root, part in zip(roots, parts, strict=True) for file in _files(root, part)]
        super().__init__(files, pipeline, {})

    @property
    def files(self) -> tuple[ImageFiles, ...]:
        """Every image's files, in the data set's order; looks for the instance maps, which training doesn't need."""
        return tuple(file._replace(instances=_instances_of(file)) for file in self._files)


def _files(root: Path, split: str) -> Iterator[ImageFiles]:
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
    for image in found:
        name = f"{image.parent.name}/{image.name.removesuffix(_IMAGE)}"
        # what lies in the test split's gtFine is void alone: the benchmark's server keeps the labels
        yield ImageFiles(name, image, None if split == "test" else _labels_of(image, root / "gtFine" / split))


def _instances_of(files: ImageFiles) -> Path | None:
    if files.labels is None:
        return None
    path = files.labels.parent / (files.image.name.removesuffix(_IMAGE) + _INSTANCES)
    return path if path.is_file() else None


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
