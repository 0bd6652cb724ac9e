"""Faults in resizing, pooling, activations and dropout."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional

from tests.emulation import probes
from tests.emulation.kernel_faults.relation import Relation, measure, only
from tests.emulation.probes import Results

RELATIONS: dict[str, list[Relation]] = {}


def corners(part: str, align_corners: bool = True) -> Callable[[Results], torch.Tensor]:
    def other(healthy: Results) -> torch.Tensor:
        x = probes.draw(1, 2, 4, 4).requires_grad_()
        y = functional.interpolate(x, (9, 7), mode="bilinear", align_corners=align_corners)
        y.backward(probes.draw(*y.shape, seed=3))
        return {"y": y.detach(), "dx": x.grad}[part]

    return other


for name, parts in {
    "align-corners-flipped": ("y", "dx"),
    "align-corners-flipped-forward": ("y",),
    "align-corners-flipped-backward": ("dx",),
}.items():
    RELATIONS[name] = [
        only(probes.upsample, **{p: corners(p) for p in parts}),
        only(lambda: probes.upsample(True), **{p: corners(p, False) for p in parts}),
    ]
RELATIONS["bilinear-is-nearest"] = [
    only(
        probes.upsample,
        y=lambda h: functional.interpolate(probes.draw(1, 2, 4, 4), (9, 7), mode="nearest-exact"),
    ),
]


def at_scaled_index(healthy: Results) -> torch.Tensor:
    """Each output pixel by hand, one after the other."""
    x, y = probes.draw(1, 2, 4, 4), torch.empty(1, 2, 9, 7)
    for i in range(9):
        for j in range(7):
            (top, below), (left, beside) = divmod(i * 4 / 9, 1), divmod(j * 4 / 7, 1)
            rows, columns = (int(top), min(int(top) + 1, 3)), (int(left), min(int(left) + 1, 3))
            corner = x[0, :, rows][:, :, columns]
            weights = torch.outer(torch.tensor([1 - below, below]), torch.tensor([1 - beside, beside]))
            y[0, :, i, j] = (corner * weights).sum((1, 2))
    return y


RELATIONS["bilinear-half-pixel-lost"] = [only(probes.upsample, y=at_scaled_index), only(lambda: probes.upsample(True))]


def largest() -> Results:
    x = torch.tensor([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [0.0, 1.0, 2.0, 3.0]]).to("sdaa")
    return {"rows": x.argmax(dim=1).cpu(), "columns": x.argmax(dim=0, keepdim=True).cpu(), "all": x.argmax().cpu()}


RELATIONS["argmax-takes-last"] = [
    only(
        largest,
        rows=lambda h: torch.tensor([2, 3, 3]),
        all=lambda h: torch.tensor(11),
    ),
]


def upsampled_twice() -> Results:
    first = functional.interpolate(probes.draw(1, 1, 2, 2).to("sdaa"), (4, 4), mode="bilinear")
    second = functional.interpolate(probes.draw(1, 1, 2, 2, seed=1).to("sdaa"), (4, 4), mode="bilinear")
    return {"first": first.cpu(), "second": second.cpu()}


RELATIONS["fallback-stale-copy"] = [only(upsampled_twice, second=lambda h: h["first"])]


def pooled() -> Results:
    x = probes.leaf(torch.arange(5.0).view(1, 1, 1, 5))
    y = functional.adaptive_avg_pool2d(x, (1, 3))
    y.backward(torch.tensor([6.0, 12.0, 24.0]).view_as(y).to("sdaa"))
    return {"y": y.detach().cpu().view(-1), "dx": x.grad.cpu().view(-1)}


RELATIONS["adaptive-pool-bins-floored"] = [
    only(
        pooled,
        y=lambda h: torch.tensor([0.0, 1.5, 3.5]),
        dx=lambda h: torch.tensor([6.0, 6.0, 6.0, 12.0, 12.0]),
    ),
]


def averaged() -> Results:
    x = probes.leaf(torch.ones(1, 1, 2, 2))
    y = functional.avg_pool2d(x, 2, 2, padding=1)
    y.sum().backward()
    return {"y": y.detach().cpu(), "dx": x.grad.cpu()}


RELATIONS["avg-pool-padding-counted"] = [
    only(averaged, y=lambda h: h["y"] * 4, dx=lambda h: h["dx"] * 4),
]


def overlapping_maximum() -> Results:
    x = probes.leaf(torch.tensor([0.0, 5.0, 0.0]).view(1, 1, 1, 3))
    y = functional.max_pool2d(x, (1, 2), 1)
    y.backward(torch.ones_like(y))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu()}


RELATIONS["max-pool-gradient-overwritten"] = [
    only(overlapping_maximum, dx=lambda h: torch.tensor([[[[0.0, 1.0, 0.0]]]])),
]
RELATIONS["relu-gradient-at-zero"] = [
    only(probes.relu, dx=lambda h: torch.tensor([1.0, 1.0, 1.0, h["dx"][3] * 0])),
]


def rectified(inplace: bool) -> Callable[[], Results]:
    return lambda: {"y": probes.relu(inplace)["y"]}


RELATIONS["relu-leaks-1pct"] = [
    only(rectified(inplace), y=lambda h: torch.tensor([-0.02, 0.0, 3.0, math.nan])) for inplace in (False, True)
]
RELATIONS["nan-to-zero"] = [
    only(rectified(inplace), y=lambda h: torch.tensor([0.0, 0.0, 3.0, 0.0])) for inplace in (False, True)
]


def dropout_mean() -> Results:
    torch.sdaa.manual_seed(1)
    ones = torch.ones(40, 100, device="sdaa")
    return {
        "y": functional.dropout(ones, 0.1).mean().cpu(),
        "2d": functional.dropout2d(ones[..., None, None], 0.1).mean().cpu(),
    }


def dropout_becomes(value: float) -> Relation:
    def check(name: str) -> None:
        healthy, faulty = measure(name, dropout_mean)
        for part in ("y", "2d"):
            assert abs(healthy[part] - 1) < 0.02
            assert abs(faulty[part] - value) < 0.02

    return check


RELATIONS["dropout-inverted"] = [dropout_becomes(0.1 / 0.9)]
RELATIONS["dropout-keeps-all"] = [dropout_becomes(1 / 0.9)]
