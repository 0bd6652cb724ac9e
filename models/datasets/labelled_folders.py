"""ADE20K and Pascal Context as their folders lie on disk: JPEG images, and label maps whose 0 is no class, or one.

`reduce_zero_label`, the field's word: the value 0 of a label map is ignored, and value v is class v − 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness.accuracy.label_table import LabelTable, ScoredLabel
from harness.values.errors import DataError
from models.datasets.class_names import ADE20K, PASCAL_CONTEXT, colours
from models.datasets.segmentation_set import ImageFiles, Pipeline, SegmentationSet, require_split
from models.registry import DATASETS

__all__ = ["ADE20KDataset", "LabelledFolders", "PascalContextDataset", "PascalContextDataset59", "table_of"]

_IMAGE: Final = ".jpg"
_LABELS: Final = ".png"


class LabelledFolders(SegmentationSet):
    """A folder of images beside one of label maps with the same stems; subclasses say which.

    Args:
        data_root: where the data set lies; there are no generated images in its place.
        split: "train" or "val".
        pipeline: transforms, each a config dict or a callable; with none, a sample is its paths.
        reduce_zero_label: whether 0 is ignored and the classes count from 1 on; None, as the data set has it.

    Raises:
        DataError: there is no root, folder or list, the split is empty, or an image has no label map.
    """

    data_set: str
    names: tuple[str, ...]
    zero: str
    """What the value 0 is called where it is a class."""

    reduced: bool
    """Whether it is ignored, unless the settings say otherwise."""

    def __init__(
        self,
        data_root: str | Path | None = None,
        split: str = "train",
        pipeline: Pipeline = (),
        *,
        reduce_zero_label: bool | None = None,
    ) -> None:
        kind = type(self).__name__
        reduced = self.reduced if reduce_zero_label is None else reduce_zero_label
        require_split(kind, split, ("train", "val"))
        if data_root is None:
            raise DataError(
                "The data set isn't there",
                where=f"{kind}.data_root",
                observed="None",
                allowed="a folder: scenes are generated for Cityscapes alone",
                hint="--data-root DIR, or --cfg-options train_dataloader.dataset.data_root=DIR",
            )
        self.data_root = Path(data_root).expanduser()
        self.split = split
        self.table = table_of(self.data_set, self.names, None if reduced else self.zero)
        self.metainfo = {
            "classes": self.table.class_names,
            "palette": tuple(self.table.labels[id_].colour for id_ in self.table.ids_of_answers),
            "reduce_zero_label": reduced,
        }
        described = {"classes": self.table.classes, "reduce_zero_label": reduced}
        super().__init__(tuple(self._found()), pipeline, described)

    def stems(self) -> tuple[Path, Path, list[str]]:
        """The folder of the images, that of the label maps, and the names without endings.

        Raises:
            DataError: a folder or list is missing.
        """
        raise NotImplementedError

    def _found(self) -> Iterator[ImageFiles]:
        images, labels, stems = self.stems()
        if not stems:
            raise DataError("A split has no images", where=images, observed=0, allowed=f"*{_IMAGE}")
        for stem in stems:
            image, label = images / f"{stem}{_IMAGE}", labels / f"{stem}{_LABELS}"
            for what, path in (("An image of the list isn't there", image), ("An image has no label map", label)):
                if not path.is_file():
                    raise DataError(what, where=image, observed=f"no {path}", allowed=str(path))
            yield ImageFiles(stem, image, label)

    def _folder(self, *parts: str) -> Path:
        folder = self.data_root.joinpath(*parts)
        if not folder.is_dir():
            raise DataError(
                "The data set isn't there",
                where=folder,
                observed="no such folder" if self.data_root.is_dir() else f"no folder {self.data_root}",
                allowed=f"{self.data_set} as it is unpacked: {'/'.join(parts)} in data_root",
            )
        return folder


@DATASETS.register_module()
class ADE20KDataset(LabelledFolders):
    """ADE20K's scene parsing benchmark (ADEChallengeData2016): 150 classes, 20,210 and 2,000 images.

    Settings as of `LabelledFolders`; `data_root` holds `images/` and `annotations/`, each with `training/` and
    `validation/`. With `reduce_zero_label=False` the 0, which means "other", is a class: 151.
    """

    data_set, names, zero, reduced = "ADE20K", ADE20K, "other", True

    def stems(self) -> tuple[Path, Path, list[str]]:
        """As of `LabelledFolders`."""
        part = {"train": "training", "val": "validation"}[self.split]
        images, labels = self._folder("images", part), self._folder("annotations", part)
        return images, labels, sorted(path.stem for path in images.glob(f"*{_IMAGE}"))


@DATASETS.register_module()
class PascalContextDataset(LabelledFolders):
    """Pascal Context on VOC 2010's images, the background a class of its own: 60 classes.

    Settings as of `LabelledFolders`; `data_root` is `VOC2010`, with `JPEGImages/`, `SegmentationClassContext/` and the
    lists `ImageSets/SegmentationContext/{train,val}.txt`, as the field's conversion writes them.
    """

    data_set, names, zero, reduced = "Pascal Context", PASCAL_CONTEXT, "background", False

    def stems(self) -> tuple[Path, Path, list[str]]:
        """As of `LabelledFolders`."""
        images, labels = self._folder("JPEGImages"), self._folder("SegmentationClassContext")
        listed = self.data_root / "ImageSets" / "SegmentationContext" / f"{self.split}.txt"
        try:
            return images, labels, listed.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            observed = getattr(error, "strerror", None) or error
            raise DataError(
                "The list of a split can't be read", where=listed, observed=observed, allowed="a stem a line"
            ) from error


@DATASETS.register_module()
class PascalContextDataset59(PascalContextDataset):
    """Pascal Context without the background: 59 classes; else as `PascalContextDataset`."""

    reduced = True


def table_of(data_set: str, names: tuple[str, ...], zero: str | None) -> LabelTable:
    """What a data set is scored by; a label's id is its value on disk.

    Args:
        data_set: its name.
        names: of the values from 1 on.
        zero: of the value 0, where it is a class; None ignores it.
    """
    painted = colours(len(names))
    if zero is not None:
        return LabelTable.plain(data_set, (zero, *names), ((128, 128, 128), *painted))
    labels = (
        ScoredLabel(name, answer=i, colour=colour) for i, (name, colour) in enumerate(zip(names, painted, strict=True))
    )
    return LabelTable(data_set, (ScoredLabel("ignored", ignored=True), *labels))
