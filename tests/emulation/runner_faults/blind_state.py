"""Optimizer, schedule and model of the blind set: what one iteration leaves to the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from mmengine.optim import PolyParamScheduler

from harness.lab.faults import FAULTS, Fault, parse_fault
from tests.emulation.runner_faults.stand_in import DECAY, MOMENTUM, RATE, Check, FakeRunner

RATES = (RATE, RATE / 2, RATE / 4)


def gradient(layer: int, iteration: int) -> float:
    return (layer + 1) / 3 + iteration / 7


def train(fault: Fault | None) -> list[list[float]]:
    """One number of each of the four parameters after each of three iterations, at rates that halve."""
    runner = FakeRunner().start(fault)
    (group,) = runner.optimizer.param_groups
    trace = []
    for runner.iter, rate in enumerate(RATES):
        group["lr"] = rate
        for layer, parameter in enumerate(runner.model.parameters()):
            parameter.grad = torch.full_like(parameter, gradient(layer, runner.iter))
        runner.optimizer.step()
        assert all(len(p.unique()) == 1 for p in runner.model.parameters())
        trace.append([p.flatten()[0].item() for p in runner.model.parameters()])
    return trace


def plain(layer: int, decay: float = DECAY) -> Iterator[tuple[float, float, float]]:
    """What SGD starts each iteration from: the parameter, its gradient with decay, its momentum before."""
    parameter, momentum = 1.0, 0.0
    for iteration, rate in enumerate(RATES):
        given = gradient(layer, iteration) + decay * parameter
        yield parameter, given, momentum
        momentum = MOMENTUM * momentum + given
        parameter -= rate * momentum


def is_trace(trace: list[list[float]], layer: int, wanted: list[float]) -> None:
    assert [values[layer] for values in trace] == pytest.approx(wanted, rel=1e-6)


def others_are_plain(trace: list[list[float]], *layers: int) -> None:
    healthy = train(None)
    for layer in set(range(4)) - set(layers):
        assert [values[layer] for values in trace] == [values[layer] for values in healthy]


def restarts(name: str) -> None:
    trace = train(parse_fault(f"{name}:2"))
    for layer in range(4):
        parameter, momentum, wanted = 1.0, 0.0, []
        for iteration, rate in enumerate(RATES):
            carried = 0.0 if iteration == 1 else MOMENTUM * momentum
            momentum = carried + gradient(layer, iteration) + DECAY * parameter
            parameter -= rate * momentum
            wanted.append(parameter)
        is_trace(trace, layer, wanted)
    assert trace[0] == train(None)[0]
    assert train(FAULTS[name]) == train(None)


def carries_rate(name: str) -> None:
    trace = train(FAULTS[name])
    for layer in range(4):
        parameter, step, wanted = 1.0, 0.0, []
        for iteration, rate in enumerate(RATES):
            step = MOMENTUM * step + rate * (gradient(layer, iteration) + DECAY * parameter)
            parameter -= step
            wanted.append(parameter)
        is_trace(trace, layer, wanted)
    assert trace[1] != pytest.approx(train(None)[1], rel=1e-3)


def takes_momentum_of_next(name: str) -> None:
    trace, parameter, wanted = train(FAULTS[name]), 1.0, []
    for iteration, (rate, (_, _, momentum)) in enumerate(zip(RATES, plain(2), strict=True)):
        parameter -= rate * (MOMENTUM * momentum + gradient(1, iteration) + DECAY * parameter)
        wanted.append(parameter)
    is_trace(trace, 1, wanted)
    others_are_plain(trace, 1)
    assert trace[1][1] != pytest.approx(train(None)[1][1], rel=1e-3)


def steps_one_layer_twice(name: str) -> None:
    trace, parameter, momentum, wanted = train(FAULTS[name]), 1.0, 0.0, []
    for iteration, rate in enumerate(RATES):
        momentum = MOMENTUM * momentum + gradient(1, iteration) + DECAY * parameter
        parameter -= 2 * rate * momentum
        wanted.append(parameter)
    is_trace(trace, 1, wanted)
    others_are_plain(trace, 1)


def decays_matrices_only(name: str) -> None:
    trace = train(FAULTS[name])
    starts = [parameter for parameter, _, _ in plain(3, decay=0.0)]
    is_trace(trace[:2], 3, starts[1:])
    others_are_plain(trace, 3)
    assert trace[0][3] != train(None)[0][3]


def steps_schedule_twice(name: str) -> None:
    def rates(fault: Fault | None) -> list[float]:
        runner = FakeRunner()
        scheduler = PolyParamScheduler(runner.optimizer, "lr", power=0.9, eta_min=0.01, begin=0, end=20, by_epoch=False)
        runner.param_schedulers = [scheduler]
        runner.start(fault)
        trace = []
        for runner.iter in range(8):
            trace.append(runner.optimizer.param_groups[0]["lr"])
            runner.optimizer.step()
            scheduler.step()
        return trace

    assert rates(FAULTS[name])[:4] == pytest.approx(rates(None)[::2], rel=1e-12)
    late = rates(parse_fault(f"{name}@3"))
    assert late[:4] == rates(None)[:4]
    assert late[4:6] == pytest.approx(rates(None)[5:8:2], rel=1e-12)


def keeps_bases(name: str) -> None:
    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.ones(1))
    model.head = torch.nn.Module()
    model.head.register_buffer("bases", torch.ones(1, 2, 3))
    model.head.register_buffer("running_mean", torch.ones(2))
    runner = FakeRunner(model).start(FAULTS[name])
    (hook,) = runner.hooks
    for runner.iter in range(2):
        hook.before_train_iter(runner, runner.iter)
        for buffer in model.buffers():
            buffer.add_(1)
        hook.after_train_iter(runner, runner.iter)
    assert torch.equal(model.head.bases, torch.ones(1, 2, 3))
    assert torch.equal(model.head.running_mean, torch.full((2,), 3.0))


CHECKS: dict[str, Check] = {
    "momentum-restarts": restarts,
    "momentum-carries-lr": carries_rate,
    "momentum-of-another-layer": takes_momentum_of_next,
    "layer-updated-twice": steps_one_layer_twice,
    "weight-decay-skips-norms": decays_matrices_only,
    "schedule-stepped-twice": steps_schedule_twice,
    "bases-never-move": keeps_bases,
}
