"""ADE20K and Pascal Context as their folders lie on disk, whole and damaged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from harness.values.errors import DataError
from models.datasets import ADE20KDataset, PascalContextDataset, PascalContextDataset59
from models.datasets.evaluation_set import evaluation_set
from models.datasets.transforms.loading import LoadAnnotations, read_image

PLAIN = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
VALUES = np.array([[0, 1, 2], [59, 0, 255]], np.uint8)


def write(root: Path, images: str, labels: str, stem: str) -> tuple[Path, Path]:
    image, label = root / images / f"{stem}.jpg", root / labels / f"{stem}.png"
    for path, pixels in ((image, np.full((2, 3, 3), 90, np.uint8)), (label, VALUES)):
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)
    return image, label


@pytest.fixture
def ade(tmp_path: Path) -> tuple[Path, Path]:
    write(tmp_path, "images/training", "annotations/training", "ADE_train_00000001")
    return write(tmp_path, "images/validation", "annotations/validation", "ADE_val_00000001")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    write(tmp_path, "JPEGImages", "SegmentationClassContext", "2008_000002")
    lists = tmp_path / "ImageSets" / "SegmentationContext"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("2008_000002\n")
    (lists / "train.txt").write_text("")
    return tmp_path


def test_zero_is_ignored_and_classes_count_from_one(ade: tuple[Path, Path], tmp_path: Path) -> None:
    data = ADE20KDataset(tmp_path, "val", PLAIN)
    assert (len(data.metainfo["classes"]), data.metainfo["classes"][0], data.metainfo["classes"][-1]) == (
        150,
        "wall",
        "flag",
    )
    assert len(set(data.metainfo["palette"])) == 150
    assert data[0]["gt_seg_map"].tolist() == [[255, 0, 1], [58, 255, 255]]
    with_other = ADE20KDataset(tmp_path, "val", PLAIN, reduce_zero_label=False)
    assert with_other.metainfo["classes"][:2] == ("other", "wall")
    assert with_other[0]["gt_seg_map"].tolist() == VALUES.tolist()


def test_pascal_context_with_and_without_its_background(context: Path) -> None:
    sixty, less = PascalContextDataset(context, "val", PLAIN), PascalContextDataset59(context, "val", PLAIN)
    assert (len(sixty.metainfo["classes"]), len(less.metainfo["classes"])) == (60, 59)
    assert sixty.metainfo["classes"][1:] == less.metainfo["classes"]
    assert sixty[0]["gt_seg_map"].tolist() == VALUES.tolist()
    assert less[0]["gt_seg_map"].tolist() == [[255, 0, 1], [58, 255, 255]]
    with pytest.raises(DataError, match="A split has no images"):
        PascalContextDataset(context, "train")


@pytest.mark.parametrize(
    ("kind", "ignored", "expected"),
    [("PascalContextDataset", 60, [[0, 1, 2], [59, 0, 60]]), ("PascalContextDataset59", 0, [[0, 1, 2], [59, 0, 0]])],
)
def test_an_evaluation_scores_the_values_on_disk(context: Path, kind: str, ignored: int, expected: list[int]) -> None:
    data = evaluation_set({"val_dataloader": {"dataset": {"type": kind, "data_root": str(context)}}}, "val")
    assert data.table.labels[ignored].ignored
    assert data.read_labels(data.files[0], (2, 3)).tolist() == expected
    assert data.files[0].name == "2008_000002"


def test_values_past_the_classes_are_named(ade: tuple[Path, Path], context: Path) -> None:
    label = ade[1]
    cv2.imwrite(str(label), np.full((2, 3), 151, np.uint8))
    with pytest.raises(DataError, match="beyond the data set's classes") as caught:
        ADE20KDataset(context, "val", PLAIN)[0]
    assert (caught.value.where, caught.value.observed) == (str(label), "[151], 6 pixels")
    assert "0–150 and 255" in str(caught.value)
    path = context / "SegmentationClassContext" / "2008_000002.png"
    cv2.imwrite(str(path), np.full((2, 3), 60, np.uint8))
    with pytest.raises(DataError, match="reduce_zero_label=True"):
        PascalContextDataset(context, "val", PLAIN)[0]


def test_a_label_map_of_another_size_or_cut_short(ade: tuple[Path, Path], tmp_path: Path) -> None:
    _, label = ade
    whole = label.read_bytes()
    cv2.imwrite(str(label), np.zeros((3, 2), np.uint8))
    with pytest.raises(DataError, match="doesn't fit its image"):
        ADE20KDataset(tmp_path, "val", PLAIN)[0]
    label.write_bytes(whole[:-8])
    with pytest.raises(DataError, match="cut short, or no PNG"):
        ADE20KDataset(tmp_path, "val", PLAIN)[0]


def test_a_jpeg_that_is_cut_short_is_refused_and_one_with_a_tail_is_not(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    whole = path.read_bytes()
    pixels = read_image(path)
    path.write_bytes(whole + b"camera")
    assert (read_image(path) == pixels).all()
    for kept in (len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:kept])
        with pytest.raises(DataError, match="cut short, or no JPEG"):
            read_image(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(DataError, match="no PNG or JPEG"):
        read_image(path)


def test_what_is_missing_is_named(ade: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such split"):
        ADE20KDataset(tmp_path, "test")
    with pytest.raises(DataError, match="scenes are generated for Cityscapes alone"):
        ADE20KDataset()
    with pytest.raises(DataError, match="JPEGImages"):
        PascalContextDataset(tmp_path, "val")
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "SegmentationClassContext").mkdir()
    with pytest.raises(DataError, match="The list of a split can't be read"):
        PascalContextDataset(tmp_path, "val")
    ade[1].unlink()
    with pytest.raises(DataError, match="An image has no label map"):
        ADE20KDataset(tmp_path, "val")


def test_a_pipeline_that_contradicts_its_data_set_is_refused(ade: tuple[Path, Path], tmp_path: Path) -> None:
    load = [PLAIN[0], LoadAnnotations(reduce_zero_label=False)]
    with pytest.raises(DataError, match="reads labels otherwise"):
        ADE20KDataset(tmp_path, "val", load)[0]
    assert ADE20KDataset(tmp_path, "val", [PLAIN[0], LoadAnnotations(reduce_zero_label=True)])[0]["gt_seg_map"].any()
