"""Faults in what the model is fed, and in the sum of its losses."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from harness.lab.faults import FAULTS, Fault, parse_fault
from tests.emulation.runner_faults.stand_in import Check, FakeRunner


class Preprocessor(torch.nn.Module):
    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        return data


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.data_preprocessor = Preprocessor()

    def parse_losses(self, losses: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        total = sum(value for name, value in losses.items() if "loss" in name)
        return total, {**losses, "loss": total}


def batch(number: int) -> dict[str, Any]:
    inputs = torch.arange(2 * 3 * 10 * 2.0).view(2, 3, 10, 2) / 7 + number
    return {"inputs": inputs, "data_samples": {"gt_sem_seg": torch.arange(2)[:, None] + 10 * number}}


def fed(fault: Fault, count: int) -> list[dict[str, Any]]:
    runner = FakeRunner(Model()).start(fault)
    preprocessor = runner.model.data_preprocessor
    assert preprocessor(batch(0), False)["inputs"].equal(batch(0)["inputs"])
    return [preprocessor(batch(number), True) for number in range(count)]


def feeds(change: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]) -> Check:
    def check(name: str) -> None:
        (given,) = fed(FAULTS[name], 1)
        inputs, labels = change(batch(0)["inputs"], batch(0)["data_samples"]["gt_sem_seg"])
        assert torch.equal(given["inputs"], inputs)
        assert torch.equal(given["data_samples"]["gt_sem_seg"], labels)

    return check


def feeds_stale_rows(name: str) -> None:
    first, second = fed(FAULTS[name], 2)
    assert torch.equal(first["inputs"], batch(0)["inputs"])
    assert torch.equal(second["inputs"][:, :, :2], batch(1)["inputs"][:, :, :2])
    assert torch.equal(second["inputs"][:, :, 2:], batch(0)["inputs"][:, :, 2:])


def repeats_a_batch(name: str) -> None:
    given = fed(parse_fault(f"{name}:2"), 4)
    assert [int(b["data_samples"]["gt_sem_seg"][0]) for b in given] == [0, 0, 20, 20]


def shifts_the_loader(name: str) -> None:
    runner = FakeRunner()
    runner.train_loop = SimpleNamespace(dataloader_iterator=iter([0, 1, 2]))
    runner.start(FAULTS[name])
    assert next(runner.train_loop.dataloader_iterator) == 1


def weighs_aux(factor: float) -> Check:
    def check(name: str) -> None:
        losses = {
            "decode.loss_ce": torch.tensor(2.0),
            "aux.loss_ce": torch.tensor(0.5),
            "aux.acc_seg": torch.tensor(9.0),
        }
        model = FakeRunner(Model()).start(FAULTS[name]).model
        total, logged = model.parse_losses(losses)
        assert total == 2 + 0.5 * factor
        assert logged == {**losses, "loss": total}

    return check


CHECKS: dict[str, Check] = {
    "last-sample-dropped": feeds(lambda x, labels: (x[:1], labels[:1])),
    "labels-of-another-sample": feeds(lambda x, labels: (x, labels.flip(0))),
    "channels-swapped": feeds(lambda x, labels: (x[:, [2, 1, 0]], labels)),
    "image-quantized": feeds(lambda x, labels: ((x * 32).round() / 32, labels)),
    "image-tail-stale": feeds_stale_rows,
    "batch-repeated": repeats_a_batch,
    "data-order-shifted": shifts_the_loader,
    "aux-loss-lost": weighs_aux(0.0),
    "aux-loss-doubled": weighs_aux(2.0),
}
