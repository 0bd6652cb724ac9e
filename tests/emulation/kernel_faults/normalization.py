"""Faults in batch norm and in what SyncBatchNorm joins."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional

from tests.emulation import probes
from tests.emulation.kernel_faults.relation import Relation, measure, only, over_channels
from tests.emulation.probes import Results

RELATIONS: dict[str, list[Relation]] = {}

INPUT = probes.draw(2, 3, 4, 4) * 0.01 + 1
MEAN, VAR = INPUT.mean((0, 2, 3)), INPUT.var((0, 2, 3))
BIASED = INPUT.var((0, 2, 3), correction=0)
WEIGHT = probes.draw(3, seed=4)
GRADIENT = probes.draw(2, 3, 4, 4, seed=3)


def normalized(mean: torch.Tensor, var: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    return (INPUT - over_channels(mean)) / over_channels((var + eps).sqrt()) * over_channels(WEIGHT)


def moved(start: float, batch: torch.Tensor, momentum: float) -> torch.Tensor:
    return (1 - momentum) * start + momentum * batch


def in_evaluation(eps: float) -> Relation:
    """Running statistics are 0.5 and 2; PyTorch's backward takes the layer's own epsilon there."""
    return only(
        lambda: probes.batch_norm(False), y=lambda h: (INPUT - 0.5) / math.sqrt(2 + eps) * over_channels(WEIGHT)
    )


for name, momentum in {"bn-momentum-ignored": 0.0, "bn-momentum-inverted": 0.9, "bn-momentum-0.2": 0.2}.items():
    RELATIONS[name] = [
        only(
            probes.batch_norm,
            mean=lambda h, m=momentum: moved(0.5, MEAN, m),
            var=lambda h, m=momentum: moved(2.0, VAR, m),
        ),
    ]
for name, eps in {"bn-eps-1e-4": 1e-4, "bn-eps-1e-3": 1e-3}.items():
    ratio = ((BIASED + 1e-5) / (BIASED + eps)).sqrt()

    def backward(h: Results, eps: float = eps) -> torch.Tensor:
        x = INPUT.clone().requires_grad_()
        functional.batch_norm(x, None, None, WEIGHT, torch.zeros(3), True, 0.1, eps).backward(GRADIENT)
        return x.grad

    RELATIONS[name] = [
        only(
            probes.batch_norm,
            atol=1e-4,  # the batch's mean is a hundred times its deviation
            y=lambda h, eps=eps: normalized(MEAN, BIASED, eps),
            dx=backward,
            dw=lambda h, ratio=ratio: h["dw"] * ratio,
        ),
        in_evaluation(eps),
    ]
RELATIONS["bn-running-variance-biased"] = [
    only(probes.batch_norm, var=lambda h: moved(2.0, BIASED, 0.1)),
]
RELATIONS["bn-running-mean-kept"] = [only(probes.batch_norm, mean=lambda h: torch.full((3,), 0.5))]


def stale_gradient(of: str) -> Callable[[Results], torch.Tensor]:
    """PyTorch's backward, from the mean and deviation that the forward saved."""

    def gradient(healthy: Results) -> torch.Tensor:
        mean, invstd = torch.full((3,), 0.5), torch.full((3,), (2 + 1e-5) ** -0.5)
        gradients = torch.ops.aten.native_batch_norm_backward(
            GRADIENT, INPUT, WEIGHT, None, None, mean, invstd, True, 1e-5, [True, True, True]
        )
        return gradients[["dx", "dw"].index(of)]

    return gradient


RELATIONS["bn-stale-statistics"] = [
    only(
        probes.batch_norm,
        y=lambda h: normalized(torch.full((3,), 0.5), torch.full((3,), 2.0)),
        dx=stale_gradient("dx"),
        dw=stale_gradient("dw"),
    ),
]


def last_sample_uncounted(name: str) -> None:
    healthy, faulty = measure(name, probes.batch_norm)
    first = INPUT[:1]
    mean, var = first.mean((0, 2, 3)), first.var((0, 2, 3), correction=0)
    assert torch.allclose(faulty["y"], normalized(mean, var), rtol=1e-4, atol=1e-4)
    assert torch.allclose(faulty["mean"], moved(0.5, mean, 0.1))
    assert not torch.allclose(faulty["y"], healthy["y"], rtol=1e-2)


RELATIONS["bn-last-sample-uncounted"] = [last_sample_uncounted]
RELATIONS["bn-weight-gradient-x1.05"] = [only(probes.batch_norm, dw=lambda h: h["dw"] * 1.05)]
RELATIONS["bn-bias-gradient-zero"] = [only(probes.batch_norm, db=lambda h: h["db"] * 0)]
RELATIONS["bn-dgrad-as-in-evaluation"] = [
    only(
        probes.batch_norm,
        dx=lambda h: GRADIENT * over_channels(WEIGHT / (BIASED + 1e-5).sqrt()),
    ),
]


def local_statistics() -> Results:
    means, deviations = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.5], [0.25]])
    counts = torch.tensor([[4.0], [4.0]])
    x, means, deviations = (t.to("sdaa") for t in (torch.zeros(1, 1, 4), means, deviations))
    mean, invstd = torch.batch_norm_gather_stats_with_counts(
        x, means, deviations, None, None, 0.1, 0.0, counts.view(-1).to("sdaa")
    )
    return {"mean": mean.cpu(), "invstd": invstd.cpu()}


RELATIONS["syncbn-local"] = [
    only(
        local_statistics,
        mean=lambda h: torch.tensor([1.0]),
        invstd=lambda h: torch.tensor([0.5]),
    ),
]
