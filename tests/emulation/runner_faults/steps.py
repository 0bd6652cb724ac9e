"""Faults in the optimizer's step: the parameters after each iteration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from harness.lab.faults import FAULTS, Fault, parse_fault
from tests.emulation.runner_faults.stand_in import DECAY, MOMENTUM, RATE, Check, FakeRunner


def train(fault: Fault | None, iterations: int = 3, gradient: float = 1 / 3) -> list[list[torch.Tensor]]:
    """The parameters after each iteration; gradients are `gradient`, twice it, three times it …"""
    runner = FakeRunner().start(fault)
    trace = []
    for iteration in range(iterations):
        runner.iter = iteration
        for parameter in runner.model.parameters():
            parameter.grad = torch.full_like(parameter, gradient * (iteration + 1))
        settings = [dict(group, params=None) for group in runner.optimizer.param_groups]
        runner.optimizer.step()
        assert [dict(group, params=None) for group in runner.optimizer.param_groups] == settings
        trace.append([p.detach().clone() for p in runner.model.parameters()])
    return trace


def reference(rate: float = RATE, momentum: float = MOMENTUM, decay: float = DECAY, **settings: Any):
    """One parameter's trace, and the same for all, under other settings of the optimizer."""
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], rate, momentum, weight_decay=decay, **settings)
    trace = []
    for iteration in range(3):
        parameter.grad = torch.full_like(parameter, (iteration + 1) / 3)
        optimizer.step()
        trace.append(parameter.item())
    return trace


def trains_as(**settings: Any) -> Check:
    def check(name: str) -> None:
        for parameters, wanted in zip(train(FAULTS[name]), reference(**settings), strict=True):
            assert all(torch.allclose(p, torch.full_like(p, wanted), rtol=1e-6) for p in parameters)
        assert reference(**settings) != reference()

    return check


def one_layer(name: str, change: Callable[[], list[float]]) -> None:
    healthy = train(None)
    for parameters, plain, wanted in zip(train(FAULTS[name]), healthy, change(), strict=True):
        for index, (parameter, value) in enumerate(zip(parameters, plain, strict=True)):
            expected = torch.full_like(value, wanted) if index == 1 else value
            assert torch.allclose(parameter, expected, rtol=1e-6), index


def skips_decay(name: str) -> None:
    one_layer(name, lambda: reference(decay=0))


def never_updates(name: str) -> None:
    one_layer(name, lambda: [1.0] * 3)


def bias_steps_twice(name: str) -> None:
    healthy, faulty = train(None, 1), train(FAULTS[name], 1)
    assert all(torch.equal(a, b) for a, b in zip(faulty[0][:3], healthy[0][:3], strict=True))
    assert torch.allclose(faulty[0][3], 1 - RATE * (2 / 3 + DECAY) * torch.ones(2))


def decouples_decay(name: str) -> None:
    decay_free = reference(decay=0)
    first = train(FAULTS[name])[0][0]
    assert torch.allclose(first, torch.full_like(first, decay_free[0] - RATE * DECAY), rtol=1e-6)
    second = train(FAULTS[name])[1][0]
    step = RATE * (MOMENTUM / 3 + 2 / 3)
    assert torch.allclose(second, first * (1 - RATE * DECAY) - step, rtol=1e-6)


def accumulates(name: str) -> None:
    faulty, kept = train(FAULTS[name]), 0.0
    parameter, momentum = 1.0, None
    for iteration, parameters in enumerate(faulty):
        kept = (iteration + 1) / 3 + 0.1 * kept
        gradient = kept + DECAY * parameter
        momentum = gradient if momentum is None else MOMENTUM * momentum + gradient
        parameter -= RATE * momentum
        assert torch.allclose(parameters[0], torch.full((2, 2), parameter), rtol=1e-6)


def clips(name: str) -> None:
    norm = math.sqrt(14) / 3
    first = train(FAULTS[name], 1)[0][0]
    assert torch.allclose(first, torch.full((2, 2), 1 - RATE * (1 / 3 / norm + DECAY)), rtol=1e-5)
    small = [train(fault, 1, gradient=0.01)[0][0] for fault in (FAULTS[name], None)]
    assert torch.equal(*small)


def skips_steps(name: str) -> None:
    trace = train(parse_fault(f"{name}:2"))
    healthy = train(None)
    assert torch.equal(trace[0][0], healthy[0][0])
    assert torch.equal(trace[1][0], trace[0][0])
    assert not torch.equal(trace[2][0], trace[1][0])


def shrinks(name: str) -> None:
    for parameter, plain in zip(train(FAULTS[name], 1)[0], train(None, 1)[0], strict=True):
        assert torch.equal(parameter, plain * (1 - 1e-4))


def rounds_weights(name: str) -> None:
    for parameter, plain in zip(train(FAULTS[name], 1)[0], train(None, 1)[0], strict=True):
        assert torch.equal(parameter, plain.bfloat16().float())
        assert not torch.equal(parameter, plain)


def rounds_momentum(name: str) -> None:
    faulty, healthy = train(FAULTS[name], 2), train(None, 2)
    assert torch.equal(faulty[0][0], healthy[0][0])
    buffer = (torch.tensor(1 / 3) + DECAY).bfloat16().float()
    wanted = healthy[0][0] - RATE * (MOMENTUM * buffer + 2 / 3 + DECAY * healthy[0][0])
    assert torch.allclose(faulty[1][0], wanted, rtol=1e-7)
    assert not torch.equal(faulty[1][0], healthy[1][0])


def fixes_scale(name: str) -> None:
    runner = FakeRunner()
    runner.optim_wrapper.loss_scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1)
    runner.start(FAULTS[name])
    scaler = runner.optim_wrapper.loss_scaler
    parameter = next(runner.model.parameters())
    scaler.scale(parameter.sum()).backward()
    assert torch.equal(parameter.grad, torch.ones(2, 2))
    scaler.step(runner.optimizer)
    scaler.update()
    assert scaler.get_scale() == 1.0


CHECKS: dict[str, Check] = {
    "weight-decay-ignored": trains_as(decay=0),
    "weight-decay-doubled": trains_as(decay=2 * DECAY),
    "weight-decay-skips-a-layer": skips_decay,
    "weight-decay-decoupled": decouples_decay,
    "momentum-0.85": trains_as(momentum=0.85),
    "momentum-zero": trains_as(momentum=0),
    "momentum-dampened": trains_as(dampening=0.1),
    "momentum-buffer-bf16": rounds_momentum,
    "nesterov-flipped": trains_as(nesterov=True),
    "lr-x1.01": trains_as(rate=RATE * 1.01),
    "bias-gradients-doubled": bias_steps_twice,
    "layer-never-updated": never_updates,
    "gradients-accumulate-10pct": accumulates,
    "gradients-clipped": clips,
    "steps-skipped": skips_steps,
    "weights-shrink-1e-4": shrinks,
    "weights-in-bf16": rounds_weights,
    "fp16-without-loss-scale": fixes_scale,
}
