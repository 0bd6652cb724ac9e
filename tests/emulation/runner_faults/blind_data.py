"""Data of the blind set: what is done to images and labels before the model sees them."""

from __future__ import annotations

from typing import Any

import torch

from harness.lab.faults import FAULTS
from tests.emulation.runner_faults.batch_and_loss import Model
from tests.emulation.runner_faults.stand_in import Check, FakeRunner


def flipped(flips: Any) -> dict[str, Any]:
    inputs = torch.arange(2 * 3 * 2 * 4.0).view(2, 3, 2, 4)
    labels = torch.arange(2 * 2 * 4).view(2, 2, 4)
    if isinstance(flips, list):
        return {"inputs": inputs, "data_samples": [{"gt_sem_seg": x, **y} for x, y in zip(labels, flips, strict=True)]}
    return {"inputs": inputs, "data_samples": {"gt_sem_seg": labels, **flips}}


def flips_images_back(name: str) -> None:
    preprocessor = FakeRunner(Model()).start(FAULTS[name]).model.data_preprocessor
    given = flipped({})["inputs"]
    for flips in ({"flip": [False, True]}, [{"flip": False}, {"flip": True}]):
        batch = preprocessor(flipped(flips), True)
        assert torch.equal(batch["inputs"], torch.stack([given[0], given[1].flip(-1)]))
        assert str(batch["data_samples"]) == str(flipped(flips)["data_samples"])
    for unflipped in ({}, {"flip": [False, False]}, [{}, {}]):
        assert torch.equal(preprocessor(flipped(unflipped), True)["inputs"], given)
    assert torch.equal(preprocessor(flipped({"flip": [True, True]}), False)["inputs"], given)


def mixes_neighbours(name: str) -> None:
    preprocessor = FakeRunner(Model()).start(FAULTS[name]).model.data_preprocessor
    labels = torch.tensor([[[2, 2, 9, 255, 4, 4], [1, 1, 1, 1, 1, 1]]])
    batch = {"inputs": torch.ones(1, 3, 2, 6), "data_samples": {"gt_sem_seg": labels}}
    mixed = preprocessor(batch, True)
    assert mixed["data_samples"]["gt_sem_seg"].tolist() == [[[2, 5, 9, 255, 4, 4], [1, 1, 1, 1, 1, 1]]]
    assert torch.equal(mixed["inputs"], batch["inputs"])
    assert preprocessor(batch, False)["data_samples"]["gt_sem_seg"] is labels


CHECKS: dict[str, Check] = {"flip-of-image-lost": flips_images_back, "labels-interpolated": mixes_neighbours}
