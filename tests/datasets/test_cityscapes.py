"""The data set: what is read, in which order, and with which randomness."""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate, worker_init_fn
from torch.utils.data import DataLoader

from models.datasets import CLASSES, CityscapesDataset, TicketSampler
from models.registry import DATASETS
from tests.datasets.city_files import PIPELINE, PLAIN, SCENES, images, labels

pytestmark = pytest.mark.usefixtures("cache")


def batches(
    data: CityscapesDataset, workers: int, start: str | None = None, size: int = 2, seed: int = 7
) -> list[dict]:
    loader = DataLoader(
        data,
        batch_size=size,
        sampler=list(islice(TicketSampler(data, seed=seed), 12)),
        num_workers=workers,
        multiprocessing_context=start,
        collate_fn=pseudo_collate,
    )
    return list(loader)


def same(ours: list[dict], theirs: list[dict]) -> bool:
    flat = [
        [
            (image, label)
            for batch in side
            for image, label in zip(batch["inputs"], batch["data_samples"]["gt_sem_seg"], strict=True)
        ]
        for side in (ours, theirs)
    ]
    return len(flat[0]) == len(flat[1]) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(*flat, strict=True)
    )


def test_a_sample_is_packed_for_segmentation(root: Path) -> None:
    data = DATASETS.build({"type": "CityscapesDataset", "data_root": str(root), "split": "train", "pipeline": PLAIN})
    sample = data[0]
    assert len(data) == 5
    assert data.metainfo["classes"] == CLASSES
    assert sample["inputs"].shape == (3, 48, 96)
    assert sample["inputs"].dtype == torch.uint8
    labels = sample["data_samples"]["gt_sem_seg"]
    assert labels.shape == (48, 96)
    assert labels.dtype == torch.uint8
    assert sample["data_samples"]["img_path"] == str(images(root)[0])
    expected = cv2.imread(str(images(root)[0]))
    assert np.array_equal(sample["inputs"].numpy(), expected.transpose(2, 0, 1))


def test_the_order_is_that_of_the_paths(root: Path) -> None:
    data = CityscapesDataset(root)
    assert [data[i]["img_path"] for i in range(len(data))] == [str(path) for path in images(root)]


def test_label_ids_stand_in_for_missing_train_ids(root: Path) -> None:
    with_train_ids = CityscapesDataset(root, pipeline=PLAIN)[1]["data_samples"]["gt_sem_seg"]
    for path in labels(root):
        path.unlink()
    data = CityscapesDataset(root, pipeline=PLAIN)
    assert data[1]["data_samples"]["seg_map_path"].endswith("_labelIds.png")
    assert torch.equal(data[1]["data_samples"]["gt_sem_seg"], with_train_ids)


def test_generated_scenes_are_drawn_once(cache: Path) -> None:
    first = CityscapesDataset(scenes=SCENES, pipeline=PLAIN)
    drawn = {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")}
    second = CityscapesDataset(scenes=SCENES, pipeline=PLAIN)
    assert first.metainfo["generated"]
    assert len(drawn) == 20
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")} == drawn
    assert torch.equal(first[4]["inputs"], second[4]["inputs"])
    assert [path.name for path in cache.iterdir()] == [first.data_root.name]


def test_splits_and_settings_have_folders_of_their_own() -> None:
    roots = {
        CityscapesDataset(split=split, scenes=SCENES | change).data_root
        for split in ("train", "val")
        for change in ({}, {"seed": 4}, {"count": 4}, {"width": 100})
    }
    assert len(roots) == 8


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_batches_do_not_depend_on_the_workers(root: Path, start: str) -> None:
    data = CityscapesDataset(root, pipeline=PIPELINE)
    alone = batches(data, workers=0)
    assert same(alone, batches(data, workers=2, start=start))


def test_batches_follow_the_seed_and_nothing_else(root: Path) -> None:
    data = CityscapesDataset(root, pipeline=PIPELINE)
    first = batches(data, workers=0)
    np.random.seed(99)
    before = np.random.get_state()[1].tolist()
    assert same(first, batches(data, workers=0))
    assert np.random.get_state()[1].tolist() == before
    assert not same(first, batches(data, workers=0, seed=8))


def test_the_exact_batches_are_pinned(cache: Path) -> None:
    """The small cases' data, through integers alone: equal on every machine, or their baselines mean nothing."""
    exact = [step for step in PIPELINE if step["type"] != "PhotoMetricDistortion"]
    data = CityscapesDataset(scenes={"count": 6, "height": 96, "width": 128, "seed": 0}, pipeline=exact)
    digest = hashlib.sha256()
    for batch in batches(data, workers=0, seed=0):
        for image, label in zip(batch["inputs"], batch["data_samples"]["gt_sem_seg"], strict=True):
            digest.update(image.numpy().tobytes() + label.numpy().tobytes())
    assert digest.hexdigest()[:16] == "3d128dab40177587"


def test_the_same_image_is_augmented_anew_each_time(root: Path) -> None:
    data = CityscapesDataset(root, pipeline=PIPELINE)
    seen: dict[str, list[torch.Tensor]] = {}
    for batch in batches(data, workers=0, size=1):
        seen.setdefault(batch["data_samples"]["img_path"][0], []).append(batch["inputs"][0])
    again = [images for images in seen.values() if len(images) > 1]
    assert again
    assert all(not torch.equal(images[0], images[1]) for images in again)


def test_two_ranks_see_what_one_sees(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = CityscapesDataset(root)
    alone = iter(TicketSampler(data, seed=1))
    expected = [next(alone) for _ in range(20)]
    shares = []
    for rank in range(2):
        monkeypatch.setattr("models.datasets.sampler.get_dist_info", lambda rank=rank: (rank, 2))
        mine = iter(TicketSampler(data, seed=1))
        shares.append([next(mine) for _ in range(10)])
    assert [ticket for pair in zip(*shares, strict=True) for ticket in pair] == expected
    assert sorted(ticket.index for ticket in expected[:5]) == list(range(5))


def test_a_plain_index_uses_the_generators_as_they_stand(root: Path) -> None:
    data = CityscapesDataset(root, pipeline=PIPELINE)
    worker_init_fn(0, 1, 0, seed=5)
    first = data[0]["inputs"]
    assert not torch.equal(first, data[0]["inputs"])
    worker_init_fn(0, 1, 0, seed=5)
    assert torch.equal(first, data[0]["inputs"])


def test_train_and_val_together(cache: Path) -> None:
    parts = [CityscapesDataset(split=split, scenes=SCENES) for split in ("train", "val")]
    joined = CityscapesDataset(split="train+val", scenes=SCENES)
    assert joined.files == parts[0].files + parts[1].files
