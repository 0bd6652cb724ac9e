"""How faults get into mmengine's Runner: through its own hooks, and through the optimizer's `step`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from harness.lab.faults.fault import Fault

__all__ = [
    "around_iterations",
    "around_steps",
    "at_start",
    "middle_weight",
    "model_of",
    "nothing",
    "trained_parameters",
]

Act = Callable[[Any], None]
Runner = Any
Optimizer = Any


class _AtStart(Hook):  # type: ignore[misc]  # mmengine is untyped
    def __init__(self, act: Act) -> None:
        self._act = act

    def before_train(self, runner: Runner) -> None:
        self._act(runner)


class _AroundIterations(Hook):  # type: ignore[misc]  # mmengine is untyped
    def __init__(self, fault: Fault, before: Act, after: Act) -> None:
        self._fault, self._before, self._after = fault, before, after

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter >= self._fault.begins:
            self._before(runner)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if runner.iter >= self._fault.begins:
            self._after(runner)


def at_start(runner: Runner, act: Act) -> None:
    """Act once, when model, optimizer and schedule have been built and no iteration has begun."""
    runner.register_hook(_AtStart(act), priority="HIGHEST")


def around_iterations(fault: Fault, runner: Runner, before: Act, after: Act) -> None:
    """Act before and after each iteration from the one that the fault begins at."""
    runner.register_hook(_AroundIterations(fault, before, after), priority="HIGHEST")


def around_steps(
    fault: Fault, runner: Runner, before: Callable[[Optimizer], None], after: Callable[[Optimizer], None]
) -> None:
    """Act on the optimizer before and after each step from the iteration that the fault begins at."""

    def wrap(runner: Runner) -> None:
        optimizer = runner.optim_wrapper.optimizer
        step = optimizer.step

        @functools.wraps(step)
        def faulty(*args: Any, **kwargs: Any) -> Any:
            if runner.iter < fault.begins:
                return step(*args, **kwargs)
            before(optimizer)
            result = step(*args, **kwargs)
            after(optimizer)
            return result

        optimizer.step = faulty

    at_start(runner, wrap)


def model_of(runner: Runner) -> Any:
    """The model, out of its distributed wrapper where it has one."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def nothing(_: Any) -> None:
    """Act on one side of a step alone."""


def trained_parameters(optimizer: Optimizer) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each parameter that has a gradient, with its group."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                yield group, parameter


def middle_weight(optimizer: Optimizer) -> tuple[dict[str, Any], Any]:
    """The weight in the middle of those that have more than one axis, with its group."""
    weights = [(group, parameter) for group, parameter in trained_parameters(optimizer) if parameter.dim() > 1]
    return weights[len(weights) // 2]
