"""Data sets that are incomplete, damaged or impossible: each is refused, and says why."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from harness.values.errors import DataError
from models.datasets import CityscapesDataset
from models.datasets.transforms.loading import read_instance_map, read_label_ids
from tests.datasets.city_files import PLAIN, SCENES, images, labels

pytestmark = pytest.mark.usefixtures("cache")


def refused(root: Path, message: str) -> DataError:
    with pytest.raises(DataError, match=message) as caught:
        CityscapesDataset(root, pipeline=PLAIN)[0]
    return caught.value


def test_a_missing_root_is_never_generated(tmp_path: Path, cache: Path) -> None:
    error = refused(tmp_path / "nowhere", "The data set isn't there")
    assert str(tmp_path / "nowhere") in str(error)
    assert not cache.exists()


def test_a_missing_split(root: Path) -> None:
    with pytest.raises(DataError, match="The data set isn't there"):
        CityscapesDataset(root, split="val")
    with pytest.raises(DataError, match="no such split"):
        CityscapesDataset(root, split="holdout")


def test_an_empty_split(root: Path) -> None:
    for path in images(root):
        path.unlink()
    refused(root, "A split has no images")


def test_an_image_without_labels(root: Path) -> None:
    for kind in ("labelTrainIds", "labelIds"):
        labels(root, kind)[0].unlink()
    assert refused(root, "An image has no label map").where == images(root)[0]


def test_labels_of_another_size(root: Path) -> None:
    cv2.imwrite(str(labels(root)[0]), np.zeros((48, 95), np.uint8))
    assert refused(root, "doesn't fit its image").observed == (48, 95)


def test_labels_with_three_channels(root: Path) -> None:
    cv2.imwrite(str(labels(root)[0]), np.zeros((48, 96, 3), np.uint8))
    refused(root, "doesn't fit its image")


@pytest.mark.parametrize(("kind", "stranger"), [("labelTrainIds", 19), ("labelIds", 34)])
def test_labels_that_cityscapes_does_not_have(root: Path, kind: str, stranger: int) -> None:
    if kind == "labelIds":
        for path in labels(root):
            path.unlink()
    cv2.imwrite(str(labels(root, kind)[0]), np.full((48, 96), stranger, np.uint8))
    what = "ids that Cityscapes doesn't have" if kind == "labelIds" else "A file of train ids holds label ids"
    assert f"[{stranger}], 4608 pixels" in str(refused(root, what))


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
def test_a_picture_that_is_cut_short(root: Path, keep: float) -> None:
    for path in (images(root)[0], labels(root)[0]):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * keep) if keep == 0.5 else int(keep)])
        refused(root, "cut short")
        path.write_bytes(whole)
    CityscapesDataset(root, pipeline=PLAIN)[0]


def test_a_picture_with_a_damaged_byte(root: Path) -> None:
    content = bytearray(images(root)[0].read_bytes())
    content[len(content) // 2] ^= 0xFF
    images(root)[0].write_bytes(content)
    refused(root, "can't be decoded")


def test_a_picture_that_vanished(root: Path) -> None:
    data = CityscapesDataset(root, pipeline=PLAIN)
    images(root)[0].unlink()
    with pytest.raises(DataError, match="can't be read"):
        data[0]


def test_a_picture_of_sixteen_bits(root: Path) -> None:
    cv2.imwrite(str(labels(root)[0]), np.zeros((48, 96), np.uint16))
    refused(root, "wrong depth")


def test_an_error_in_a_worker_keeps_its_type(root: Path) -> None:
    data = CityscapesDataset(root, pipeline=PLAIN)
    images(root)[0].unlink()
    loader = iter(DataLoader(data, sampler=[0], num_workers=1, collate_fn=pseudo_collate))
    try:
        next(loader)
    except DataError as error:
        # A traceback keeps the loader alive, and a loader that is collected late waits 5 s for its worker.
        raised = error.with_traceback(None)
    assert "can't be read" in str(raised)
    assert str(images(root)[0].parent) in str(raised)


@pytest.mark.parametrize(
    "scenes", [{"count": 0}, {"height": 31}, {"width": 5000}, {"seed": 1.5}, {"size": 3}, {"count": True}]
)
def test_scenes_that_cannot_be_drawn(scenes: dict) -> None:
    with pytest.raises(DataError):
        CityscapesDataset(scenes=scenes)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="can't be kept"):
        CityscapesDataset(scenes=SCENES)


def test_train_ids_in_a_file_of_label_ids(root: Path) -> None:
    train_ids, label_ids = labels(root)[0], labels(root, "labelIds")[0]
    label_ids.write_bytes(train_ids.read_bytes())
    for path in labels(root):
        path.unlink()
    told = str(refused(root, "A file of label ids holds train ids"))
    assert str(label_ids) in told
    assert "255" in told


def test_values_that_only_train_ids_and_label_ids_share_are_taken_by_the_name(root: Path) -> None:
    cv2.imwrite(str(labels(root, "labelIds")[0]), np.full((48, 96), 7, np.uint8))
    assert (read_label_ids(labels(root, "labelIds")[0], (48, 96)) == 7).all()
    cv2.imwrite(str(labels(root)[0]), np.full((48, 96), 7, np.uint8))
    assert (read_label_ids(labels(root)[0], (48, 96)) == 20).all()  # train id 7 is a traffic sign


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((48, 95), np.uint16), "An instance map doesn't fit its image"),
        (np.zeros((48, 96, 3), np.uint8), "An instance map doesn't fit its image"),
    ],
)
def test_an_instance_map_that_does_not_fit(root: Path, pixels: np.ndarray, message: str) -> None:
    path = labels(root, "instanceIds")[0]
    cv2.imwrite(str(path), pixels)
    with pytest.raises(DataError, match=message) as caught:
        read_instance_map(path, (48, 96))
    assert str(path) in str(caught.value)


def test_a_test_split_has_no_labels(root: Path) -> None:
    (root / "leftImg8bit" / "train").rename(root / "leftImg8bit" / "test")
    data = CityscapesDataset(root, split="test")
    assert len(data) == 5
    assert {(one.labels, one.instances) for one in data.files} == {(None, None)}
    assert "seg_map_path" not in data[0]
