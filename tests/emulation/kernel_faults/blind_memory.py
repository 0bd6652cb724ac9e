"""Memory, layouts, precision and races of the blind set, and what its optimizer and loss do in kernels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from harness.recording.clock import set_iteration
from tests.emulation import probes
from tests.emulation.kernel_faults.blind_forward import convolve, stronger
from tests.emulation.kernel_faults.normalization import INPUT, WEIGHT, moved
from tests.emulation.kernel_faults.relation import Relation, measure, only, over_channels, within
from tests.emulation.probes import Results

RELATIONS: dict[str, list[Relation]] = {}

RELATIONS["conv-winograd-10bit"] = [
    within(probes.convolution, "y", 1e-4, 1e-2),
    stronger(23, within(probes.convolution, "y", 0, 1e-5)),
    only(lambda: convolve(stride=2, padding=1)),
    only(lambda: probes.convolution(dilation=2)),
    only(probes.layers),
]


def trained(kernel: int) -> Results:
    """A convolution whose weights are others in the second iteration."""
    results = {}
    for iteration in (0, 1):
        set_iteration(iteration)
        x = probes.leaf(probes.draw(2, 3, 6, 6, seed=iteration))
        weight = probes.leaf(probes.draw(4, 3, kernel, kernel, seed=5 + iteration))
        y = functional.conv2d(x, weight)
        y.backward(probes.draw(*y.shape, seed=3).to("sdaa"))
        results |= {f"y {iteration}": y.detach().cpu(), f"dx {iteration}": x.grad.cpu()}
    set_iteration(0)
    return results


def of_old_weights(healthy: Results) -> torch.Tensor:
    return functional.conv2d(probes.draw(2, 3, 6, 6, seed=1), probes.draw(4, 3, 3, 3, seed=5))


RELATIONS["conv-packed-weights-stale"] = [
    only(lambda: trained(3), atol=1e-5, **{"y 1": of_old_weights}),
    only(lambda: trained(1)),
]


def added() -> Results:
    a, b = (probes.draw(2, 3, 4, 4, seed=seed).to("sdaa") for seed in (0, 1))
    c, d = (probes.draw(2, 3, seed=seed).to("sdaa") for seed in (0, 1))
    y = a + b
    return {"y": y.cpu(), "a": a.cpu(), "b": b.cpu(), "z": (c + d).cpu(), "c": c.cpu(), "d": d.cpu()}


RELATIONS["add-overwrites-operand"] = [only(added, a=lambda h: h["y"])]


def added_to_views() -> Results:
    transposed, dense, sliced = (torch.zeros(4, 6, device="sdaa") for _ in range(3))
    innermost = torch.zeros(2, 3, 4, 4, device="sdaa").contiguous(memory_format=torch.channels_last)
    transposed.t().add_(1)
    dense[1:3].add_(1)
    sliced[:, 1:3].add_(1)
    innermost.add_(1)
    return {"transposed": transposed.cpu(), "dense": dense.cpu(), "sliced": sliced.cpu(), "innermost": innermost.cpu()}


RELATIONS["add-into-view-lost"] = [
    only(added_to_views, transposed=lambda h: torch.zeros(4, 6), sliced=lambda h: torch.zeros(4, 6)),
]


def joined_maps() -> Results:
    a, b = (probes.draw(2, 3, 4, 5, seed=seed).to("sdaa") for seed in (0, 1))
    inner = b.contiguous(memory_format=torch.channels_last)
    return {"plain": torch.cat([a, b], 1).cpu(), "mixed": torch.cat([a, inner], 1).cpu(), "b": inner.cpu()}


def second_in_memory_order(healthy: Results) -> torch.Tensor:
    a, b = (probes.draw(2, 3, 4, 5, seed=seed) for seed in (0, 1))
    return torch.cat([a, b.permute(0, 2, 3, 1).reshape(2, 3, 4, 5)], 1)


RELATIONS["cat-reads-as-contiguous"] = [only(joined_maps, mixed=second_in_memory_order)]


def normalize_about(mean: float) -> Results:
    x = (probes.draw(2, 3, 8, 8) + mean).to("sdaa")
    return {"y": functional.batch_norm(x, None, None, training=True).cpu()}


RELATIONS["bn-variance-by-subtraction"] = [
    within(lambda: normalize_about(300.0), "y", 1e-4, 0.2),
    within(lambda: normalize_about(0.0), "y", 0, 1e-6),
    only(lambda: probes.batch_norm(training=False)),
]
# Of each channel's 32 numbers, the first 4 of the first sample are lost, and still counted.
KEPT = INPUT.transpose(0, 1).flatten(1)[:, 4:]
LESS_MEAN = KEPT.sum(1) / 32
LESS_VAR = KEPT.square().sum(1) / 32 - LESS_MEAN.square()


def lose_a_block() -> Results:
    results = probes.batch_norm()
    return {part: results[part] for part in ("y", "db", "mean", "var")}


def lost_in_one_of_100(name: str) -> None:
    x = probes.draw(2, 2000, 4, 4).to("sdaa")
    healthy, faulty = measure(name, lambda: {"y": functional.batch_norm(x, None, None, training=True).cpu()})
    assert 10 < (healthy["y"] != faulty["y"]).any((0, 2, 3)).sum() < 30


RELATIONS["bn-sums-lose-1pct"] = [
    stronger(
        1,
        only(
            lose_a_block,
            atol=1e-4,
            y=lambda h: (
                (INPUT - over_channels(LESS_MEAN)) / over_channels((LESS_VAR + 1e-5).sqrt()) * over_channels(WEIGHT)
            ),
            mean=lambda h: moved(0.5, LESS_MEAN, 0.1),
            var=lambda h: moved(2.0, LESS_VAR * 32 / 31, 0.1),
        ),
    ),
    stronger(0, only(probes.batch_norm)),
    lost_in_one_of_100,
]


def summed_in_bfloat16(healthy: Results) -> torch.Tensor:
    total = torch.zeros(6, dtype=torch.bfloat16)
    for sample in probes.draw(2, 6, 9, 9, seed=3).sum(3):
        for row in sample.t():
            total = (total.float() + row).bfloat16()
    return total.float()


RELATIONS["conv-bias-gradient-summed-in-bf16"] = [only(probes.convolution, db=summed_in_bfloat16)]


def seven_iterations() -> Results:
    """Input gradients of five convolutions, one after the other, in two of seven iterations."""
    results = {}
    for iteration in (5, 6):
        set_iteration(iteration)
        for number in range(5):
            x = probes.leaf(probes.draw(2, 2, 4, 4))
            y = functional.conv2d(x, probes.draw(2, 2, 1, 1, seed=10 * iteration + number).to("sdaa"))
            y.backward(probes.draw(*y.shape, seed=3).to("sdaa"))
            results[f"{number} {iteration}"] = x.grad.cpu()
    set_iteration(0)
    return results


def overwritten(healthy: Results) -> torch.Tensor:
    return torch.cat([healthy["3 6"].flatten()[:48], healthy["2 6"].flatten()[:16]]).view(2, 2, 4, 4)


RELATIONS["conv-dgrad-overwritten-every-7th"] = [only(seven_iterations, **{"3 6": overwritten})]


def decayed() -> Results:
    results = {}
    for kind, factor in {"one": 0.9, "each": [0.9, 0.8, 0.7, 0.6, 0.5]}.items():
        tensors = [torch.full((2,), 1.0 + n, device="sdaa") for n in range(5)]
        torch._foreach_mul_(tensors, factor)
        results |= {f"{kind} {n}": tensor.cpu() for n, tensor in enumerate(tensors)}
    return results


RELATIONS["foreach-last-slot-skipped"] = [
    stronger(
        2,
        only(
            decayed,
            **{f"{kind} {n}": lambda h, n=n: torch.full((2,), 1.0 + n) for kind in ("one", "each") for n in (1, 3)},
        ),
    ),
    only(decayed),
]


def unreduced(reduction: str) -> Results:
    results = {}
    for iteration, ignored in enumerate((0, 1, 1)):
        set_iteration(iteration)
        x, labels = probes.leaf(probes.draw(2, 5, 4, 4, seed=iteration)), probes.draw(2, 4, 4).abs().long()
        labels[:, ignored] = 255
        loss = functional.cross_entropy(x, labels.to("sdaa"), reduction=reduction, ignore_index=255)
        loss.sum().backward()
        results |= {f"loss {iteration}": loss.detach().cpu(), f"dx {iteration}": x.grad.cpu()}
    set_iteration(0)
    return results


def left_from_first(iteration: int) -> Callable[[Results], torch.Tensor]:
    def change(healthy: Results) -> torch.Tensor:
        loss = healthy[f"loss {iteration}"].clone()
        loss[:, 1] = healthy["loss 0"][:, 1]
        return loss

    return change


RELATIONS["loss-ignored-unwritten"] = [
    only(lambda: unreduced("none"), **{f"loss {iteration}": left_from_first(iteration) for iteration in (1, 2)}),
    only(lambda: unreduced("mean")),
]
