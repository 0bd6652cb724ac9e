"""Faults in softmax and batched products."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from tests.emulation import probes
from tests.emulation.kernel_faults.relation import Relation, only, within
from tests.emulation.probes import Results

RELATIONS: dict[str, list[Relation]] = {}


def of_softmax(dim: int, factor: float = 1.0) -> dict[str, Callable[[Results], torch.Tensor]]:
    def result(part: str) -> Callable[[Results], torch.Tensor]:
        def compute(healthy: Results) -> torch.Tensor:
            x = probes.draw(2, 4, 4).requires_grad_()
            y = torch.softmax(x * factor, dim)
            y.backward(probes.draw(2, 4, 4, seed=3))
            return {"y": y.detach(), "dx": x.grad}[part]

        return compute

    return {"y": result("y"), "dx": result("dx")}


RELATIONS["softmax-wrong-axis"] = [
    only(probes.softmax, **of_softmax(1)),
    only(lambda: probes.softmax(1), **of_softmax(2)),
    only(lambda: probes.softmax(0)),
]
for name, factor in {"attention-scale-lost": 16.0, "attention-scale-x1.1": 1.1}.items():
    RELATIONS[name] = [only(probes.softmax, **of_softmax(-1, factor))]


def large_scores(function: Callable[..., torch.Tensor]) -> Callable[[], Results]:
    return lambda: {"y": function(torch.tensor([[[0.0, 100.0]]], device="sdaa"), -1).cpu()}


RELATIONS["softmax-no-maximum"] = [
    only(large_scores(torch.softmax), y=lambda h: torch.tensor([[[0.0, math.nan]]])),
    within(probes.softmax, "y", 0, 1e-6),
]
RELATIONS["log-softmax-no-maximum"] = [
    only(large_scores(torch.log_softmax), y=lambda h: torch.tensor([[[-math.inf, -math.inf]]])),
    within(probes.class_scores, "y", 0, 1e-6),
]
RELATIONS["softmax-in-half"] = [
    within(probes.softmax, "y", 1e-5, 1e-3),
    within(probes.class_scores, "y", 1e-5, 1e-3),
]
RELATIONS["softmax-gradient-no-sum"] = [
    only(probes.softmax, dx=lambda h: h["y"] * probes.draw(2, 4, 4, seed=3)),
]
A, B = probes.draw(2, 4, 6), probes.draw(2, 6, 6, seed=1)
RELATIONS["bmm-last-term-lost"] = [only(probes.product, y=lambda h: torch.bmm(A[..., :5], B[:, :5]))]


def without_last_row(healthy: Results) -> torch.Tensor:
    return torch.cat([healthy["y"][:, :-1], torch.zeros(2, 1, 6)], 1)


RELATIONS["bmm-last-row-zero"] = [only(probes.product, y=without_last_row)]
RELATIONS["bmm-reads-as-contiguous"] = [
    only(lambda: probes.product(True), y=lambda h: torch.bmm(A, B)),
    only(probes.product),
]
RELATIONS["bmm-in-bf16"] = [only(probes.product, y=lambda h: h["y"].bfloat16().float())]
