"""Small computations on the device whose parts a fault changes or leaves alone; every tensor comes back on the host."""

from __future__ import annotations

import torch
from torch.nn import functional

from harness.recording.clock import set_iteration

Results = dict[str, torch.Tensor]


def draw(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def leaf(tensor: torch.Tensor, device: str = "sdaa") -> torch.Tensor:
    return tensor.to(device).requires_grad_()


def convolution(seed: int = 0, dilation: int = 1, scale: float = 1.0, width: int = 9) -> Results:
    x, weight, bias = (
        leaf(draw(2, 8, 9, width, seed=seed)),
        leaf(draw(6, 8, 3, 3, seed=1) * scale),
        leaf(draw(6, seed=2)),
    )
    y = functional.conv2d(x, weight, bias, padding=dilation, dilation=dilation)
    y.backward(draw(*y.shape, seed=3).to("sdaa"))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu(), "dw": weight.grad.cpu(), "db": bias.grad.cpu()}


def two_iterations() -> Results:
    results = {}
    for iteration in (0, 1):
        set_iteration(iteration)
        results |= {f"{name} {iteration}": value for name, value in convolution(seed=10 + iteration).items()}
    set_iteration(0)
    return results


def layers() -> Results:
    """Weight gradients of six 1×1 convolutions in a row, numbered from the loss; in two iterations."""
    results = {}
    for iteration in (0, 1):
        set_iteration(iteration)
        weights = [leaf(draw(4, 4, 1, 1, seed=n)) for n in range(6)]
        h = draw(2, 4, 5, 5, seed=20 + iteration).to("sdaa").requires_grad_()
        for weight in weights:
            h = functional.conv2d(h, weight)
        h.sum().backward()
        results |= {f"{5 - n} {iteration}": weight.grad.cpu() for n, weight in enumerate(weights)}
    set_iteration(0)
    return results


def batch_norm(training: bool = True) -> Results:
    norm = torch.nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.weight.copy_(draw(3, seed=4))
        norm.running_mean.fill_(0.5)
        norm.running_var.fill_(2.0)
    norm.to("sdaa").train(training)
    x = leaf(draw(2, 3, 4, 4) * 0.01 + 1)
    y = norm(x)
    y.backward(draw(*y.shape, seed=3).to("sdaa"))
    gradients = {"dx": x.grad, "dw": norm.weight.grad, "db": norm.bias.grad}
    parts = {"y": y.detach(), **gradients, "mean": norm.running_mean, "var": norm.running_var}
    return {name: value.cpu().clone() for name, value in parts.items()}


def upsample(align_corners: bool = False, size: tuple[int, int] = (9, 7)) -> Results:
    x = leaf(draw(1, 2, 4, 4))
    y = functional.interpolate(x, size, mode="bilinear", align_corners=align_corners)
    y.backward(draw(*y.shape, seed=3).to("sdaa"))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu()}


def softmax(dim: int = -1, scale: float = 1.0) -> Results:
    x = leaf(draw(2, 4, 4) * scale)
    y = torch.softmax(x, dim)
    y.backward(draw(2, 4, 4, seed=3).to("sdaa"))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu()}


def class_scores() -> Results:
    x = leaf(draw(2, 5, 3, 3) * 3)
    y = torch.log_softmax(x, 1)
    y.backward(draw(*y.shape, seed=3).to("sdaa"))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu()}


def product(transposed: bool = False) -> Results:
    a, b = draw(2, 4, 6).to("sdaa"), draw(2, 6, 6, seed=1).to("sdaa")
    return {"y": torch.bmm(a, b.transpose(1, 2) if transposed else b).cpu()}


def labels() -> torch.Tensor:
    drawn = torch.randint(0, 5, (2, 4, 4), generator=torch.Generator().manual_seed(6))
    drawn[:, 0, :3] = 255
    return drawn


def cross_entropy(
    reduction: str = "mean", weight: torch.Tensor | None = None, given: torch.Tensor | None = None
) -> Results:
    x = leaf(draw(2, 5, 4, 4))
    target = labels() if given is None else given
    loss = functional.cross_entropy(
        x, target.to("sdaa"), None if weight is None else weight.to("sdaa"), reduction=reduction, ignore_index=255
    )
    loss.sum().backward()
    return {"loss": loss.detach().cpu(), "dx": x.grad.cpu()}


def relu(inplace: bool = False) -> Results:
    x = leaf(torch.tensor([-2.0, 0.0, 3.0, float("nan")]))
    y = functional.relu(x * 1, inplace=inplace)
    y.backward(torch.ones(4, device="sdaa"))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu()}


def scaler(gradient: float) -> Results:
    parameter = torch.nn.Parameter(torch.ones(3, device="sdaa"))
    optimizer = torch.optim.SGD([parameter], 1.0)
    scale = torch.amp.GradScaler("sdaa", init_scale=8.0)
    scale.scale((parameter * gradient).sum()).backward()
    scale.step(optimizer)
    scale.update()
    return {"parameter": parameter.detach().cpu(), "scale": torch.tensor(scale.get_scale())}
