"""Faults in what one iteration leaves to the next: momentum, parameters that a step misses, buffers that don't move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from harness.lab.faults.actions import TRAININGS
from harness.lab.faults.fault import Fault
from harness.lab.faults.trainings.hooking import (
    around_iterations,
    around_steps,
    middle_weight,
    model_of,
    nothing,
    trained_parameters,
)

__all__ = [
    "bases_kept",
    "layer_updated_twice",
    "momentum_carries_learning_rate",
    "momentum_of_another_layer",
    "momentum_restarted",
    "norms_not_decayed",
]

Optimizer = Any
Runner = Any


def _momentum(optimizer: Optimizer, parameter: Any) -> Any:
    """The parameter's momentum buffer; None before its first step."""
    return optimizer.state.get(parameter, {}).get("momentum_buffer")


@TRAININGS.strikes("momentum-restarts")
def momentum_restarted(fault: Fault, runner: Runner) -> None:
    """Every severity-th step, momentum begins from nothing."""
    counted = [0]

    def before(optimizer: Optimizer) -> None:
        counted[0] += 1
        if counted[0] % round(fault.severity or 1) == 0:
            for _, parameter in trained_parameters(optimizer):
                if _momentum(optimizer, parameter) is not None:
                    _momentum(optimizer, parameter).zero_()

    around_steps(fault, runner, before, nothing)


@TRAININGS.strikes("momentum-carries-lr")
def momentum_carries_learning_rate(fault: Fault, runner: Runner) -> None:
    """Momentum is of steps, which took the learning rate of their time along, not of gradients."""
    rates: list[float] = []

    def before(optimizer: Optimizer) -> None:
        for group, rate in zip(optimizer.param_groups, rates, strict=False):
            for parameter in group["params"]:
                if _momentum(optimizer, parameter) is not None and group["lr"]:
                    _momentum(optimizer, parameter).mul_(rate / group["lr"])
        rates[:] = [group["lr"] for group in optimizer.param_groups]

    around_steps(fault, runner, before, nothing)


@TRAININGS.strikes("momentum-of-another-layer")
def momentum_of_another_layer(fault: Fault, runner: Runner) -> None:
    """One layer's momentum is replaced before each step by that of the next layer whose weight has its shape."""

    def before(optimizer: Optimizer) -> None:
        _, layer = middle_weight(optimizer)
        parameters = [parameter for _, parameter in trained_parameters(optimizer)]
        place = next(index for index, parameter in enumerate(parameters) if parameter is layer)
        for other in parameters[place + 1 :] + parameters[:place]:
            if other.shape == layer.shape and _momentum(optimizer, other) is not None:
                _momentum(optimizer, layer).copy_(_momentum(optimizer, other))
                return

    around_steps(fault, runner, before, nothing)


@TRAININGS.strikes("layer-updated-twice")
def layer_updated_twice(fault: Fault, runner: Runner) -> None:
    """One layer's weight takes each of its steps twice."""

    @torch.no_grad()
    def after(optimizer: Optimizer) -> None:
        group, layer = middle_weight(optimizer)
        momentum = _momentum(optimizer, layer)
        layer.add_(layer.grad if momentum is None else momentum, alpha=-group["lr"])

    around_steps(fault, runner, nothing, after)


@TRAININGS.strikes("weight-decay-skips-norms")
def norms_not_decayed(fault: Fault, runner: Runner) -> None:
    """Parameters of one axis, those of norms and biases, don't decay."""

    @torch.no_grad()
    def before(optimizer: Optimizer) -> None:
        for group, parameter in trained_parameters(optimizer):
            if parameter.dim() == 1:
                parameter.grad.sub_(parameter, alpha=group["weight_decay"])

    around_steps(fault, runner, before, nothing)


@TRAININGS.strikes("bases-never-move")
def bases_kept(fault: Fault, runner: Runner) -> None:
    """The running bases of expectation–maximization attention stay as they started."""
    kept: dict[str, Any] = {}

    def bases(runner: Runner) -> Iterator[tuple[str, Any]]:
        return ((name, buffer) for name, buffer in model_of(runner).named_buffers() if name.endswith("bases"))

    def before(runner: Runner) -> None:
        kept.update({name: buffer.clone() for name, buffer in bases(runner)})

    @torch.no_grad()
    def after(runner: Runner) -> None:
        for name, buffer in bases(runner):
            buffer.copy_(kept[name])

    around_iterations(fault, runner, before, after)
