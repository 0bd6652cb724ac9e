"""Forward kernels of the blind set."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional

from tests.emulation import probes
from tests.emulation.kernel_faults.normalization import BIASED, GRADIENT, INPUT, MEAN, WEIGHT, moved
from tests.emulation.kernel_faults.relation import Relation, only, over_channels
from tests.emulation.probes import Results

RELATIONS: dict[str, list[Relation]] = {}


def stronger(severity: float, relation: Relation) -> Relation:
    """The relation, of the fault at another severity."""
    return lambda name: relation(f"{name}:{severity}")


def convolve(kernel: int = 3, side: int = 9, **geometry: int) -> Results:
    x, weight, bias = (
        probes.leaf(probes.draw(2, 8, side, side)),
        probes.leaf(probes.draw(6, 8, kernel, kernel, seed=1)),
        probes.leaf(probes.draw(6, seed=2)),
    )
    y = functional.conv2d(x, weight, bias, **geometry)
    y.backward(probes.draw(*y.shape, seed=3).to("sdaa"))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu(), "dw": weight.grad.cpu(), "db": bias.grad.cpu()}


def padded_at_end(healthy: Results) -> torch.Tensor:
    x = functional.pad(probes.draw(2, 8, 9, 9), (0, 2, 0, 2))
    return functional.conv2d(x, probes.draw(6, 8, 3, 3, seed=1), probes.draw(6, seed=2), stride=2)


RELATIONS["conv-strided-pads-at-end"] = [
    only(lambda: convolve(stride=2, padding=1), atol=1e-5, y=padded_at_end),
    only(lambda: convolve(kernel=1, stride=2)),
    only(probes.convolution),
]


def biased_by_sample(healthy: Results) -> torch.Tensor:
    bias = probes.draw(6, seed=2)
    return healthy["y"] - over_channels(bias) + bias[:2].view(2, 1, 1, 1)


RELATIONS["conv-bias-by-sample"] = [only(probes.convolution, y=biased_by_sample), only(probes.layers)]


def batch_norm(side: int = 4, start: float = 0.0) -> Results:
    norm = torch.nn.BatchNorm2d(3).to("sdaa")
    norm.running_var.fill_(start)
    x = probes.leaf(probes.draw(2, 3, side, side) * 0.01 + 1)
    y = norm(x)
    y.backward(probes.draw(*y.shape, seed=3).to("sdaa"))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu(), "mean": norm.running_mean.cpu(), "var": norm.running_var.cpu()}


RELATIONS["bn-running-variance-plus-eps"] = [
    only(batch_norm, atol=1e-10, var=lambda h: h["var"] + 0.1 * 1e-5),
    only(lambda: probes.batch_norm(training=False)),
]
PADDED = torch.cat([INPUT.transpose(0, 1).flatten(1), torch.zeros(3, 32)], 1)
PADDED_MEAN, PADDED_VAR = PADDED.mean(1), PADDED.var(1, correction=0)


def padded_gradient(part: int) -> Callable[[Results], torch.Tensor]:
    def gradient(healthy: Results) -> torch.Tensor:
        saved = PADDED_MEAN, (PADDED_VAR + 1e-5).rsqrt()
        arguments = (GRADIENT, INPUT, WEIGHT, None, None, *saved, True, 1e-5, [True, True, True])
        return torch.ops.aten.native_batch_norm_backward(*arguments)[part]

    return gradient


RELATIONS["bn-small-map-counts-padding"] = [
    only(
        probes.batch_norm,
        y=lambda h: (
            (INPUT - over_channels(PADDED_MEAN)) / over_channels((PADDED_VAR + 1e-5).sqrt()) * over_channels(WEIGHT)
        ),
        dx=padded_gradient(0),
        dw=padded_gradient(1),
        mean=lambda h: moved(0.5, PADDED_MEAN, 0.1),
        var=lambda h: moved(2.0, PADDED_VAR * 32 / 31, 0.1),
    ),
    only(lambda: batch_norm(side=8)),
    only(lambda: probes.batch_norm(training=False)),
]


def scaled_by(channels: list[int]) -> Callable[[Results], torch.Tensor]:
    scale = WEIGHT[channels] / (BIASED + 1e-5).sqrt()
    return lambda healthy: (INPUT - over_channels(MEAN)) * over_channels(scale)


RELATIONS["bn-scale-read-modulo-256"] = [
    stronger(2, only(probes.batch_norm, atol=1e-4, y=scaled_by([0, 1, 0]))),
    only(probes.batch_norm),
]


def rectified(inplace: bool) -> Results:
    x = probes.leaf(torch.tensor([-2.0, 3.0, 7.0, math.nan]))
    y = functional.relu(x * 1, inplace=inplace)
    y.backward(torch.ones(4, device="sdaa"))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu()}


RELATIONS["relu-cut-at-6"] = [
    only(lambda inplace=inplace: rectified(inplace), y=lambda h: torch.tensor([0.0, 3.0, 6.0, math.nan]))
    for inplace in (False, True)
] + [only(probes.relu)]


def maxima(sign: float) -> Results:
    x = probes.leaf(sign * torch.arange(1.0, 17.0).view(1, 1, 4, 4))
    y = functional.max_pool2d(x, 3, 2, 1)
    y.backward(torch.arange(1.0, 5.0, device="sdaa").view_as(y))
    return {"y": y.detach().cpu().flatten(), "dx": x.grad.cpu()}


RELATIONS["max-pool-pads-with-zero"] = [
    only(lambda: maxima(-1.0), y=lambda h: torch.tensor([0.0, 0.0, 0.0, -6.0])),
    only(lambda: maxima(1.0)),
]


def adaptive(length: int) -> Results:
    x = probes.leaf(torch.arange(float(length)).view(1, 1, 1, length))
    y = functional.adaptive_avg_pool2d(x, (1, 3))
    y.backward(torch.tensor([6.0, 12.0, 24.0]).view_as(y).to("sdaa"))
    return {"y": y.detach().cpu().flatten(), "dx": x.grad.cpu().flatten()}


RELATIONS["adaptive-pool-of-one-stride"] = [
    only(
        lambda: adaptive(5),
        y=lambda h: torch.tensor([1.0, 2.0, 3.0]),
        dx=lambda h: torch.tensor([2.0, 6.0, 14.0, 12.0, 8.0]),
    ),
    only(lambda: adaptive(6)),
]


def upsample_two(align_corners: bool) -> Results:
    x = probes.leaf(probes.draw(2, 3, 4, 4))
    y = functional.interpolate(x, (8, 8), mode="bilinear", align_corners=align_corners)
    y.backward(probes.draw(*y.shape, seed=3).to("sdaa"))
    return {"first": y[0].detach().cpu(), "last": y[1].detach().cpu(), "dx": x.grad.cpu()}


def with_row_of_next(healthy: Results) -> torch.Tensor:
    x = probes.draw(2, 3, 4, 4)
    taller = torch.cat([x[0], x[1, :, :1]], 1)[None]
    return functional.interpolate(taller, scale_factor=2, mode="bilinear")[0, :, :8]


RELATIONS["upsample-reads-next-sample"] = [
    only(lambda: upsample_two(False), first=with_row_of_next),
    only(lambda: upsample_two(True)),
    only(probes.upsample),
]
SCORES = probes.draw(2, 5, 3, 3) * 3


def padded_scores(healthy: Results) -> torch.Tensor:
    return torch.log_softmax(torch.cat([SCORES, torch.zeros(2, 3, 3, 3)], 1), 1)[:, :5]


def padded_scores_gradient(healthy: Results) -> torch.Tensor:
    grad = probes.draw(2, 5, 3, 3, seed=3)
    return grad - padded_scores(healthy).exp() * grad.sum(1, keepdim=True)


RELATIONS["softmax-counts-padding"] = [
    only(probes.class_scores, y=padded_scores, dx=padded_scores_gradient),
    only(lambda: {"y": torch.softmax(SCORES.to("sdaa"), 1).cpu()}, y=lambda h: padded_scores(h).exp()),
    only(probes.softmax),
]
A, B = probes.draw(2, 4, 6), probes.draw(2, 6, 6, seed=1)


def past_the_sum(healthy: Results) -> torch.Tensor:
    a, b = (torch.cat([x.flatten(), torch.zeros(100)]).tolist() for x in (A, B))
    return torch.tensor(
        [
            [
                [sum(a[(n * 4 + i) * 6 + k] * b[(n * 6 + k) * 6 + j] for k in range(16)) for j in range(6)]
                for i in range(4)
            ]
            for n in range(2)
        ]
    )


def product_of_16() -> Results:
    return {"y": torch.bmm(probes.draw(2, 3, 16).to("sdaa"), probes.draw(2, 16, 5, seed=1).to("sdaa")).cpu()}


RELATIONS["bmm-reads-past-the-sum"] = [only(probes.product, atol=1e-5, y=past_the_sum), only(product_of_16)]
RELATIONS["bmm-batch-stride-lost"] = [only(probes.product, y=lambda h: A @ B[0])]


def joined() -> Results:
    a, b = probes.draw(2, 3, 4).to("sdaa"), probes.draw(2, 3, 4, seed=1).to("sdaa")
    return {
        "channels": torch.cat([a, b], 1).cpu(),
        "keys": torch.cat([a, b], 2).cpu(),
        "samples": torch.cat([a, b]).cpu(),
        "stacked": torch.stack([a, b]).cpu(),
        "matrix": torch.cat([a[0], b[0]], 1).cpu(),
    }


RELATIONS["cat-last-slice-unwritten"] = [
    only(
        joined,
        channels=lambda h: torch.cat([h["channels"][:, :5], torch.zeros(2, 1, 4)], 1),
        keys=lambda h: torch.cat([h["keys"][..., :7], torch.zeros(2, 3, 1)], 2),
    ),
]
MASK = probes.draw(2, 3, 1, 1, seed=1)


def masked() -> Results:
    x = probes.leaf(probes.draw(2, 3, 4, 4))
    y = x * MASK.to("sdaa")
    y.backward(probes.draw(2, 3, 4, 4, seed=3).to("sdaa"))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu(), "same": (x * x).detach().cpu(), "scalar": (x * 2).detach().cpu()}


RELATIONS["mul-broadcasts-first-sample"] = [
    only(
        masked,
        y=lambda h: probes.draw(2, 3, 4, 4) * MASK[:1],
        dx=lambda h: probes.draw(2, 3, 4, 4, seed=3) * MASK[:1],
    ),
]
