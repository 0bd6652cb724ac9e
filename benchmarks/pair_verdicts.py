"""What `align compare` says of pairs of logs whose truth is known: healthy ones, and ones with a fault.

    python benchmarks/pair_verdicts.py [--seeds 12]

Two kinds of pairs. The healthy runs of the shipped baselines, each against each: of ANN and CCNet, on which the bound
of `harness/pairs/growth.py` was calibrated, and of EMANet and OCRNet, which were not looked at for it. And a small
convolutional net with batch norm, trained here for 100 iterations of drawn images with the field's kinds of faults,
from gross to subtle, each against a healthy run: the healthy ones differ in rounding (operands of matrix products
scaled apart, and cut to tf32 or bfloat16, as devices do). Logs print six digits. The table is Markdown, with 95 %
intervals (Clopper and Pearson) of each rate.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import betaincinv
from torch import Tensor, nn
from torch.nn import functional

from harness.logs import read_log
from harness.pairs.deviation import relative_deviation
from harness.pairs.growth import LARGEST_HEALTHY, measure_persistence
from harness.pairs.judge import judge_pair
from harness.pairs.log import Log, Series
from harness.values.trace import FloatArray
from harness.values.verdict import Status

_ITERATIONS = 100
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Variant:
    """How a run is made.

    Args:
        bits: mantissa bits that operands of convolutions and matrix products keep; 24 for float32's own.
        scale: by what one operand is multiplied and the other divided: the same numbers, other rounding.
        gradient: by what the gradients of one weight are multiplied.
        every: by what all gradients are multiplied.
        rate: by what the learning rate is multiplied.
        late: from which iteration on the fault is there.
        decay: by what the weight decay is multiplied.
        momentum: of SGD.
        eps: of batch norm.
        classes: by what the loss of one class is multiplied.
        loss: by what the printed loss is multiplied.
        clip: whether gradients are clipped to a norm of 1.
        frozen: whether the first layer gets no update.
        stale: whether each update uses the gradients of the one before.
        order: whether batches come in another order.
        noise: relative noise of every gradient.
    """

    bits: int = 24
    scale: float = 1.0
    gradient: float = 1.0
    every: float = 1.0
    rate: float = 1.0
    late: int = 0
    decay: float = 1.0
    momentum: float = 0.9
    eps: float = 1e-5
    classes: float = 1.0
    loss: float = 1.0
    clip: bool = False
    frozen: bool = False
    stale: bool = False
    order: bool = False
    noise: float = 0.0


HEALTHY = {
    "float32, other order": Variant(scale=1.37),
    "tf32": Variant(bits=11, scale=1.37),
    "tf32, again": Variant(bits=11, scale=1.71),
    "bfloat16": Variant(bits=8, scale=1.37),
}
FAULTS = {
    "one weight's gradient × 1.01": Variant(bits=11, gradient=1.01),
    "one weight's gradient × 1.1": Variant(bits=11, gradient=1.1),
    "one weight's gradient × 0": Variant(bits=11, gradient=0.0),
    "all gradients × 1.05": Variant(bits=11, every=1.05),
    "all gradients × 2": Variant(bits=11, every=2.0),
    "all gradients × 0.5": Variant(bits=11, every=0.5),
    "learning rate × 1.1 from 20 on": Variant(bits=11, rate=1.1, late=20),
    "learning rate × 3 from 20 on": Variant(bits=11, rate=3.0, late=20),
    "weight decay ignored": Variant(bits=11, decay=0.0),
    "weight decay × 10": Variant(bits=11, decay=10.0),
    "momentum 0.8": Variant(bits=11, momentum=0.8),
    "momentum 0": Variant(bits=11, momentum=0.0),
    "batch norm eps 1e-3": Variant(bits=11, eps=1e-3),
    "batch norm eps 1e-1": Variant(bits=11, eps=1e-1),
    "one class's loss × 1.1": Variant(bits=11, classes=1.1),
    "one class's loss × 2": Variant(bits=11, classes=2.0),
    "loss × 1.02": Variant(bits=11, loss=1.02),
    "gradients clipped": Variant(bits=11, clip=True),
    "first layer frozen": Variant(bits=11, frozen=True),
    "stale gradients": Variant(bits=11, stale=True),
    "no update": Variant(bits=11, every=0.0),
    "gradient noise 10 %": Variant(bits=11, noise=0.1),
}
OTHER = {"other order of the data": Variant(bits=11, order=True)}


def main() -> None:
    """Judge, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    print_baselines()
    print_trained(seeds)


def print_baselines() -> None:
    """How far healthy runs of the baselines stay on one side, and what is said of them."""
    print("| baselines | pairs | largest ratio | called | PASS | FAIL | INCONCLUSIVE |\n|---|---|---|---|---|---|---|")
    for names in (("ann", "ccnet"), ("emanet", "ocrnet")):
        ratios, said = [], Counter[Status]()
        for one, other in pairs_of_baselines(names):
            deviation = relative_deviation(one.values, other.values)
            ratios.append(measure_persistence(deviation).ratio)
            said[judge_pair("pair", one, other).status] += 1
        called = sum(one > LARGEST_HEALTHY for one in ratios)
        print(
            f"| {', '.join(names)} | {len(ratios):,} | {max(ratios):.1f} | "
            f"{called} | {said[Status.PASS]} | {said[Status.FAIL]} | {said[Status.INCONCLUSIVE]} |"
        )


def pairs_of_baselines(names: tuple[str, ...]) -> Iterator[tuple[Log, Log]]:
    """Each healthy run of some cases against each other one, at fp32 and tf32, and across the two."""
    for name in names:
        runs = [
            as_log(read_log(path).values)
            for tier in ("fp32", "tf32")
            for path in sorted((_ROOT / "baselines" / f"{name}_small" / "cpu" / tier).glob("run-?.csv"))
        ]
        yield from itertools.combinations(runs, 2)


def print_trained(seeds: int) -> None:
    """What is said of trained pairs, by kind."""
    print("\n| pair | pairs | PASS | FAIL | INCONCLUSIVE | largest deviation (median) |\n|---|---|---|---|---|---|")
    references = [train(seed, Variant()) for seed in range(seeds)]
    for kind, variants in (("healthy", HEALTHY), ("faulty", FAULTS), ("other", OTHER)):
        total, passed_within = Counter[Status](), 0.0
        for name, variant in variants.items():
            said, largest = Counter[Status](), []
            for seed in range(seeds):
                reference, candidate = references[seed], train(seed, variant)
                verdict = judge_pair("pair", as_log(reference), as_log(candidate))
                said[verdict.status] += 1
                largest.append(float(np.abs(np.log(candidate / reference)).max()))
                if verdict.status is Status.PASS and kind == "faulty":
                    passed_within = max(passed_within, largest[-1])
            total += said
            print_row(name, said, f"{np.median(largest):.2%}")
        print_row(f"**{kind}, all**", total, "")
        if kind == "faulty":
            print(f"<!-- the largest deviation of a faulty pair that passed: {passed_within:.3%} -->")


def print_row(name: str, said: Counter[Status], rest: str) -> None:
    """A row of the second table."""
    count = sum(said.values())
    cells = [with_interval(said[status], count) for status in (Status.PASS, Status.FAIL, Status.INCONCLUSIVE)]
    print(f"| {name} | {count} | {' | '.join(cells)} | {rest} |", flush=True)


def with_interval(hits: int, count: int) -> str:
    """A count, and the 95 % interval of its rate."""
    low = float(betaincinv(hits, count - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, count - hits, 0.975)) if hits < count else 1.0
    return f"{hits} ({low:.0%} … {high:.0%})"


def as_log(values: FloatArray) -> Log:
    """A log that prints six digits behind the point."""
    series = Series(np.arange(len(values), dtype=np.int64), np.round(values, 6))
    return Log("made", "CSV", "loss", 0, series, {0: series}, ("loss",))


def train(seed: int, variant: Variant) -> FloatArray:
    """(100,) losses of a small net on drawn images, SGD with momentum, weight decay and a falling rate."""
    torch.manual_seed(seed)
    rounded = _rounding(variant)
    first, second, last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, padding=1), nn.Linear(16, 5)
    norms = [nn.BatchNorm2d(8, eps=variant.eps), nn.BatchNorm2d(16, eps=variant.eps)]
    parts = nn.ModuleList([first, second, last, *norms])
    base = 0.02 + 0.01 * (seed % 5)
    optimizer = torch.optim.SGD(parts.parameters(), base, momentum=variant.momentum, weight_decay=5e-4 * variant.decay)
    draw = torch.Generator().manual_seed(100 + seed)
    centers = torch.randn(5, 3, 1, 1, generator=draw)
    batches = []
    for _ in range(_ITERATIONS):
        labels = torch.randint(0, 5, (8,), generator=draw)
        batches.append((centers[labels] + 1.5 * torch.randn(8, 3, 12, 12, generator=draw), labels))
    if variant.order:
        batches = batches[50:] + batches[:50]
    weights = torch.ones(5)
    weights[0] = variant.classes
    losses, before = [], None
    for iteration, (images, labels) in enumerate(batches):
        faulty = iteration >= variant.late
        rate = base * (1 - iteration / 120) ** 0.9
        optimizer.param_groups[0]["lr"] = rate * (variant.rate if faulty else 1.0)
        h = functional.relu(norms[0](_convolve(first, images, rounded, 1)))
        h = functional.relu(norms[1](_convolve(second, h, rounded, 2)))
        answer = functional.linear(*rounded(h.mean((2, 3)), last.weight), last.bias)
        loss = functional.cross_entropy(answer, labels, weights)
        optimizer.zero_grad()
        loss.backward()
        before = _spoil(variant, [p for p in parts.parameters() if p.grad is not None], second.weight, first, before)
        optimizer.step()
        losses.append(loss.item() * variant.loss)
    return np.array(losses)


def _spoil(
    variant: Variant, parameters: list[nn.Parameter], one: nn.Parameter, first: nn.Module, before: list[Tensor] | None
) -> list[Tensor]:
    """Put the variant's faults into the gradients; returns what they were."""
    plain = [torch.clone(p.grad) for p in parameters if p.grad is not None]
    for number, parameter in enumerate(parameters):
        gradient = before[number] if variant.stale and before is not None else plain[number]
        factor = variant.every * (variant.gradient if parameter is one else 1.0)
        if variant.frozen and any(parameter is own for own in first.parameters()):
            factor = 0.0
        noise = 1 + variant.noise * torch.randn_like(gradient) if variant.noise else 1.0
        parameter.grad = gradient * factor * noise
    if variant.clip:
        nn.utils.clip_grad_norm_(parameters, 1.0)
    return plain


def _rounding(variant: Variant) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """What is done to the two operands of a product: scaled apart, and cut to some bits."""

    def cut(values: Tensor) -> Tensor:
        if variant.bits >= 24:
            return values
        step = 2.0 ** (24 - variant.bits)
        return values + ((values * step + values) - values * step - values).detach()

    return lambda one, other: (cut(one * variant.scale), cut(other / variant.scale))


def _convolve(
    layer: nn.Conv2d, x: Tensor, rounded: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], stride: int
) -> Tensor:
    x, weight = rounded(x, layer.weight)
    return functional.conv2d(x, weight, layer.bias, stride, 1)


if __name__ == "__main__":
    main()
