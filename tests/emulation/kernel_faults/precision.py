"""Faults of precision: operands, results and partial sums that keep too few bits."""

from __future__ import annotations

import torch
from torch.nn import functional

from tests.emulation import probes
from tests.emulation.kernel_faults.normalization import INPUT, WEIGHT
from tests.emulation.kernel_faults.relation import Relation, only, within
from tests.emulation.probes import Results

RELATIONS: dict[str, list[Relation]] = {}

RELATIONS["conv-output-bf16"] = [only(probes.convolution, y=lambda h: h["y"].bfloat16().float())]
RELATIONS["conv-wgrad-bf16"] = [only(probes.convolution, dw=lambda h: h["dw"].bfloat16().float())]


def truncated(healthy: Results) -> torch.Tensor:
    def cut(x: torch.Tensor) -> torch.Tensor:
        mantissa, exponent = torch.frexp(x)
        return torch.ldexp((mantissa * 2**11).trunc() / 2**11, exponent)

    x, weight = cut(probes.draw(2, 8, 9, 9)), cut(probes.draw(6, 8, 3, 3, seed=1))
    return functional.conv2d(x, weight, probes.draw(6, seed=2), padding=1)


RELATIONS["conv-operands-truncated"] = [only(probes.convolution, y=truncated)]
RELATIONS["conv-partial-sums-half"] = [within(probes.convolution, "y", 5e-5, 1e-3)]


def normalized_half(healthy: Results) -> torch.Tensor:
    return functional.batch_norm(INPUT.half().float(), None, None, WEIGHT, torch.zeros(3), True)


RELATIONS["bn-input-half"] = [
    only(
        lambda: {"y": probes.batch_norm()["y"]},
        y=normalized_half,
    ),
]
RELATIONS["upsample-in-half"] = [
    only(
        probes.upsample,
        y=lambda h: functional.interpolate(probes.draw(1, 2, 4, 4).half().float(), (9, 7), mode="bilinear"),
    ),
]


def subnormal() -> Results:
    x = torch.tensor([1e-39, 1.0, -1e-40, 1e-37], device="sdaa").view(1, 1, 1, 4)
    return {"y": functional.conv2d(x, torch.ones(1, 1, 1, 1, device="sdaa")).cpu().view(-1) * 2.0**120}


RELATIONS["subnormals-flushed"] = [
    only(subnormal, y=lambda h: torch.tensor([0.0, 2.0**120, 0.0, 1e-37 * 2.0**120])),
]
