"""Faults in losses and in loss scaling."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional

from tests.emulation import probes
from tests.emulation.kernel_faults.relation import Relation, only
from tests.emulation.probes import Results

RELATIONS: dict[str, list[Relation]] = {}


def loss_with(
    part: str, given: Callable[[Results], torch.Tensor], reduction: str = "mean"
) -> Callable[[Results], torch.Tensor]:
    def compute(healthy: Results) -> torch.Tensor:
        x = probes.draw(2, 5, 4, 4).requires_grad_()
        loss = functional.cross_entropy(x, given(healthy), reduction=reduction, ignore_index=255)
        loss.sum().backward()
        return {"loss": loss.detach(), "dx": x.grad}[part]

    return compute


def relabelled(given: Callable[[Results], torch.Tensor]) -> list[Relation]:
    return [
        only(
            lambda reduction=reduction: probes.cross_entropy(reduction),
            loss=loss_with("loss", given, reduction),
            dx=loss_with("dx", given, reduction),
        )
        for reduction in ("mean", "none")
    ]


RELATIONS["ignore-index-ignored"] = relabelled(lambda h: torch.where(probes.labels() == 255, 4, probes.labels()))
RELATIONS["labels-shifted"] = relabelled(lambda h: probes.labels().roll(1, -1))


def without_hardest(healthy: Results) -> torch.Tensor:
    loss = functional.cross_entropy(probes.draw(2, 5, 4, 4), probes.labels(), reduction="none", ignore_index=255)
    kept = probes.labels().flatten()
    kept[loss.flatten().topk(round(26 * 0.1)).indices] = 255
    return kept.view(2, 4, 4)


RELATIONS["hard-pixels-dropped"] = relabelled(without_hardest)
VALID = 26 / 32
RELATIONS["loss-mean-over-other-pixels"] = [
    only(
        lambda reduction=reduction: probes.cross_entropy(reduction),
        loss=lambda h, factor=factor: h["loss"] * factor,
        dx=lambda h, factor=factor: h["dx"] * factor,
    )
    for reduction, factor in {"mean": VALID, "none": 1 / VALID}.items()
]
RELATIONS["loss-gradient-x1.1"] = [only(probes.cross_entropy, dx=lambda h: h["dx"] * 1.1)]
CLASS_WEIGHTS = torch.arange(1.0, 6.0)
RELATIONS["class-weights-lost"] = [
    only(
        lambda: probes.cross_entropy("sum", CLASS_WEIGHTS),
        loss=loss_with("loss", lambda h: probes.labels(), "sum"),
        dx=loss_with("dx", lambda h: probes.labels(), "sum"),
    ),
]


def leaked(healthy: Results) -> torch.Tensor:
    labels = probes.labels()
    boost = 0.1 * functional.one_hot(torch.where(labels == 255, 0, labels), 5).permute(0, 3, 1, 2)
    return functional.cross_entropy(probes.draw(2, 5, 4, 4) + boost, labels, ignore_index=255)


RELATIONS["label-leak-0.1"] = [only(probes.cross_entropy, loss=leaked)]
RELATIONS["loss-scale-inf-unseen"] = [
    only(
        lambda: probes.scaler(math.inf),
        parameter=lambda h: torch.full((3,), -math.inf),
        scale=lambda h: torch.tensor(8.0),
    ),
]
RELATIONS["loss-scale-not-undone"] = [
    only(lambda: probes.scaler(0.5), parameter=lambda h: torch.full((3,), 1 - 4.0)),
]
RELATIONS["loss-scale-never-backs-off"] = [
    only(lambda: probes.scaler(math.inf), scale=lambda h: torch.tensor(8.0)),
]


def cast_to_half() -> Results:
    x = torch.tensor([1.0, 1e5, -1e6], device="sdaa")
    copied = torch.empty(3, device="sdaa", dtype=torch.float16).copy_(x)
    return {"to": x.half().cpu().float(), "copy_": copied.cpu().float()}


RELATIONS["fp16-overflow-to-zero"] = [
    only(
        cast_to_half,
        to=lambda h: torch.tensor([1.0, 0.0, 0.0]),
        copy_=lambda h: torch.tensor([1.0, 0.0, 0.0]),
    ),
]


def tiny_gradient() -> Results:
    x, weight = probes.leaf(probes.draw(1, 2, 4, 4)), probes.leaf(probes.draw(2, 2, 1, 1, seed=1))
    functional.conv2d(x, weight).backward(torch.full((1, 2, 4, 4), 1e-8, device="sdaa"))
    return {"dw": weight.grad.cpu() * 1e8, "dx": x.grad.cpu() * 1e8}


RELATIONS["gradient-through-half"] = [
    only(tiny_gradient, dw=lambda h: h["dw"] * 0, dx=lambda h: h["dx"] * 0),
]
