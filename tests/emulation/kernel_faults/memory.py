"""Faults of memory: flipped bits, races, what is left unwritten or unread."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from tests.emulation import probes
from tests.emulation.kernel_faults.relation import Relation, measure, only
from tests.emulation.probes import Results

RELATIONS: dict[str, list[Relation]] = {}


def one_bit(bit: int) -> Relation:
    def check(name: str) -> None:
        healthy, faulty = measure(name, probes.two_iterations)
        for part, value in healthy.items():
            if part.startswith("d"):
                continue
            flipped = value.view(torch.int32) ^ faulty[part].view(torch.int32)
            assert flipped.unique().tolist() == ([0, 1 << bit] if part == "y 0" else [0])
            assert flipped.count_nonzero() == (part == "y 0")

    return check


for name, bit in {"bit-flip-high": 29, "bit-flip-low-exponent": 24, "bit-flip-mantissa": 20}.items():
    RELATIONS[name] = [one_bit(bit)]


def raced(probe: Callable[[], Results], share: float) -> Relation:
    def check(name: str) -> None:
        healthy, faulty = measure(name, probe)
        assert torch.equal(faulty["first"], healthy["first"])
        other = faulty["second"] != healthy["second"]
        assert torch.equal(faulty["second"][other], healthy["first"][other])
        assert 0.5 * share < other.float().mean() < 1.5 * share

    return check


def large_convolutions() -> Results:
    from harness.recording.clock import set_iteration

    results = {}
    for iteration, part in enumerate(("first", "second")):
        set_iteration(iteration)
        x = probes.draw(1, 1, 500, 500, seed=iteration).to("sdaa")
        results[part] = functional.conv2d(x, torch.ones(1, 1, 1, 1, device="sdaa")).cpu()
    set_iteration(0)
    return results


for name, share in {"race-1e-4": 1e-4, "race-1e-2": 1e-2}.items():
    RELATIONS[name] = [raced(large_convolutions, share)]


def zeroed(index: tuple[object, ...]) -> Callable[[Results], torch.Tensor]:
    def change(healthy: Results) -> torch.Tensor:
        y = healthy["y"].clone()
        y[index] = 0
        return y

    return change


RELATIONS["tail-column-unwritten"] = [
    only(probes.convolution, y=zeroed((..., -1))),
    only(lambda: probes.convolution(width=16)),
]
RELATIONS["tail-channel-unwritten"] = [
    only(probes.convolution, y=zeroed((slice(None), -1))),
]


def sums() -> Results:
    odd, even = torch.arange(1.0, 6.0, device="sdaa"), torch.arange(1.0, 5.0, device="sdaa")
    return {
        "odd": odd.sum().cpu(),
        "mean": odd.mean().cpu(),
        "even": even.sum().cpu(),
        "rows": odd.view(1, 5).sum(1).cpu(),
    }


RELATIONS["sum-tail-unread"] = [
    only(sums, odd=lambda h: torch.tensor(10.0), mean=lambda h: torch.tensor(2.5)),
]


def beyond(healthy: Results) -> torch.Tensor:
    y = healthy["y"].clone()
    y.view(-1)[65536:] = 0
    return y


RELATIONS["index-overflow"] = [
    only(lambda: probes.upsample(size=(200, 200)), y=beyond),
    only(probes.upsample),
]
