"""Backward kernels of the blind set."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from harness.recording.clock import set_iteration
from tests.emulation import probes
from tests.emulation.kernel_faults.blind_forward import convolve, stronger
from tests.emulation.kernel_faults.normalization import BIASED, GRADIENT, INPUT, MEAN, WEIGHT
from tests.emulation.kernel_faults.relation import Relation, only, over_channels
from tests.emulation.probes import Results

RELATIONS: dict[str, list[Relation]] = {}

RELATIONS["conv-wgrad-shuffled"] = [
    only(probes.convolution, dw=lambda h: h["dw"].permute(0, 2, 3, 1).reshape(6, 8, 3, 3)),
    only(probes.layers),
]


def dilated_layers() -> Results:
    """Weight gradients of three dilated 3×3 convolutions in a row, numbered from the loss; in two iterations."""
    results = {}
    for iteration in (0, 1):
        set_iteration(iteration)
        weights = [probes.leaf(probes.draw(4, 4, 3, 3, seed=n)) for n in range(3)]
        h = probes.draw(2, 4, 5, 5, seed=20 + iteration).to("sdaa").requires_grad_()
        for weight in weights:
            h = functional.conv2d(h, weight, padding=2, dilation=2)
        h.sum().backward()
        results |= {f"{2 - n} {iteration}": weight.grad.cpu() for n, weight in enumerate(weights)}
    set_iteration(0)
    return results


RELATIONS["conv-wgrad-workspace-uncleared"] = [
    only(
        dilated_layers,
        atol=1e-3,
        **{f"1 {i}": lambda h, i=i: h[f"1 {i}"] + h[f"0 {i}"] for i in (0, 1)},
        **{f"2 {i}": lambda h, i=i: h[f"2 {i}"] + h[f"1 {i}"] + h[f"0 {i}"] for i in (0, 1)},
    ),
    only(probes.layers),
]
READ = torch.arange(9) // 2 * 2
RELATIONS["conv-dgrad-strided-1x1-spread"] = [
    only(lambda: convolve(kernel=1, stride=2), dx=lambda h: h["dx"][..., READ, :][..., READ]),
    only(lambda: convolve(stride=2, padding=1)),
    only(lambda: convolve(kernel=1)),
]


def without_tail(healthy: Results) -> torch.Tensor:
    dx = healthy["dx"].clone()
    dx.flatten(2)[..., 80:] = 0
    return dx


RELATIONS["conv-dgrad-1x1-tail-unwritten"] = [
    only(lambda: convolve(kernel=1), dx=without_tail),
    only(lambda: convolve(kernel=1, side=8)),
    only(probes.convolution),
]


def batch_norm_of(memory_format: torch.memory_format) -> Callable[[], Results]:
    def normalize() -> Results:
        x = probes.leaf(INPUT.contiguous(memory_format=memory_format))
        weight, bias = probes.leaf(WEIGHT), probes.leaf(torch.zeros(3))
        y = functional.batch_norm(x, None, None, weight, bias, True)
        y.backward(GRADIENT.to("sdaa"))
        return {"y": y.detach().cpu(), "dx": x.grad.cpu(), "dw": weight.grad.cpu(), "db": bias.grad.cpu()}

    return normalize


def misread_gradient(part: int) -> Callable[[Results], torch.Tensor]:
    def gradient(healthy: Results) -> torch.Tensor:
        x = INPUT.permute(0, 2, 3, 1).reshape(INPUT.shape)
        arguments = (GRADIENT, x, WEIGHT, None, None, MEAN, (BIASED + 1e-5).rsqrt(), True, 1e-5, [True, True, True])
        return torch.ops.aten.native_batch_norm_backward(*arguments)[part]

    return gradient


RELATIONS["bn-backward-misreads-channels-last"] = [
    only(batch_norm_of(torch.channels_last), atol=1e-2, dx=misread_gradient(0), dw=misread_gradient(1)),
    only(batch_norm_of(torch.contiguous_format)),
]


def of_constant_variance(healthy: Results) -> torch.Tensor:
    x = INPUT.clone().requires_grad_()
    y = (x - x.mean((0, 2, 3), keepdim=True)) * over_channels(WEIGHT / (BIASED + 1e-5).sqrt())
    y.backward(GRADIENT)
    return x.grad


RELATIONS["bn-dgrad-variance-term-lost"] = [
    only(probes.batch_norm, atol=1e-3, dx=of_constant_variance),
    only(lambda: probes.batch_norm(training=False)),
]


def pooled_three_times() -> Results:
    results = {}
    for iteration in range(3):
        set_iteration(iteration)
        x = probes.leaf(probes.draw(1, 2, 6, 6, seed=iteration))
        y = functional.max_pool2d(x, 3, 2, 1)
        y.backward(probes.draw(*y.shape, seed=3 + iteration).to("sdaa"))
        results |= {f"y {iteration}": y.detach().cpu(), f"dx {iteration}": x.grad.cpu()}
    set_iteration(0)
    return results


RELATIONS["max-pool-gradient-uncleared"] = [
    only(
        pooled_three_times,
        **{"dx 1": lambda h: h["dx 0"] + h["dx 1"], "dx 2": lambda h: h["dx 0"] + h["dx 1"] + h["dx 2"]},
    ),
]


def three_masks() -> Results:
    """Gradients of two ReLUs of one shape and one of another, in two iterations."""
    results = {}
    for iteration in (0, 1):
        set_iteration(iteration)
        for part, shape in enumerate([(4, 5), (4, 5), (3,)]):
            x = probes.leaf(probes.draw(*shape, seed=3 * iteration + part))
            functional.relu(x).backward(torch.ones(shape, device="sdaa"))
            results[f"{part} {iteration}"] = x.grad.cpu()
    set_iteration(0)
    return results


RELATIONS["relu-mask-of-another"] = [
    stronger(2, only(three_masks, **{"1 1": lambda h: h["0 1"]})),
    only(three_masks),
]
BORDER = torch.tensor([0.75] + [1.0] * 6 + [0.75])


def weighed_at_border(healthy: Results) -> torch.Tensor:
    x = probes.draw(1, 2, 4, 4).requires_grad_()
    grad = probes.draw(1, 2, 8, 8, seed=3) * BORDER * BORDER[:, None]
    functional.interpolate(x, (8, 8), mode="bilinear").backward(grad)
    return x.grad


RELATIONS["upsample-gradient-border-lost"] = [
    only(lambda: probes.upsample(size=(8, 8)), dx=weighed_at_border),
    only(lambda: probes.upsample(True, size=(8, 8))),
]


def summed_over_four(healthy: Results) -> torch.Tensor:
    grad = probes.draw(2, 5, 3, 3, seed=3)
    return grad - healthy["y"].exp() * grad[:, :4].sum(1, keepdim=True)


RELATIONS["log-softmax-gradient-tail-unsummed"] = [only(probes.class_scores, dx=summed_over_four), only(probes.softmax)]
