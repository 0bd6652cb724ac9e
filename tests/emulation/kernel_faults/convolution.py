"""Faults in convolution, forward and backward."""

from __future__ import annotations

import torch
from torch.nn import functional

from tests.emulation import probes
from tests.emulation.kernel_faults.relation import Relation, only, over_channels
from tests.emulation.probes import Results

RELATIONS: dict[str, list[Relation]] = {}

for name, factor in {"conv-wgrad-x1.05": 1.05, "conv-wgrad-x1.01": 1.01, "conv-wgrad-x1.5": 1.5}.items():
    RELATIONS[name] = [only(probes.convolution, dw=lambda h, factor=factor: h["dw"] * factor)]
for name, factor in {
    "conv-wgrad-layer-x1.01": 1.01,
    "conv-wgrad-layer-x1.5": 1.5,
    "conv-wgrad-layer-zero": 0.0,
}.items():
    changed = {f"3 {i}": lambda h, factor=factor, i=i: h[f"3 {i}"] * factor for i in (0, 1)}
    RELATIONS[name] = [only(probes.layers, **changed)]
RELATIONS["conv-wgrad-layer-stale"] = [only(probes.layers, **{"3 1": lambda h: h["3 0"]})]
RELATIONS["conv-wgrad-stale-2pct"] = [
    only(probes.two_iterations, **{"dw 1": lambda h: 0.98 * h["dw 1"] + 0.02 * h["dw 0"]}),
]
RELATIONS["conv-wgrad-rotated"] = [
    only(lambda: probes.convolution(dilation=2), dw=lambda h: h["dw"].rot90(2, (-2, -1))),
    only(probes.convolution),
]


def wgrad_of_first_sample(healthy: Results) -> torch.Tensor:
    x, grad = probes.draw(2, 8, 9, 9)[:1], probes.draw(2, 6, 9, 9, seed=3)[:1]
    return torch.nn.grad.conv2d_weight(x, (6, 8, 3, 3), grad, padding=1)


RELATIONS["conv-wgrad-last-sample-lost"] = [only(probes.convolution, dw=wgrad_of_first_sample)]
RELATIONS["conv-dgrad-x1.02"] = [only(probes.convolution, dx=lambda h: h["dx"] * 1.02)]
RELATIONS["conv-bias-gradient-zero"] = [only(probes.convolution, db=lambda h: h["db"] * 0)]
RELATIONS["conv-bias-dropped"] = [
    only(probes.convolution, y=lambda h: h["y"] - over_channels(probes.draw(6, seed=2))),
]


def padded_with_edge(healthy: Results) -> torch.Tensor:
    padded = functional.pad(probes.draw(2, 8, 9, 9), (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, probes.draw(6, 8, 3, 3, seed=1), probes.draw(6, seed=2))


RELATIONS["conv-pads-with-edge"] = [only(probes.convolution, y=padded_with_edge)]
