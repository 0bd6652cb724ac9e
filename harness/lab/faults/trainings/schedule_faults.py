"""Faults in the learning-rate schedule: the rate that the iteration trains at, and logs, is another one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from harness.lab.faults.actions import TRAININGS
from harness.lab.faults.fault import Fault
from harness.lab.faults.trainings.hooking import around_iterations, at_start

__all__ = ["constant", "decays_faster", "one_iteration_late", "stepped", "stepped_twice", "warmed_up"]

Runner = Any
Rate = Callable[[float, float, int], float]


def _replaced(fault: Fault, runner: Runner, rate: Rate) -> None:
    """Train each iteration at `rate(scheduled, initial, iteration)`; the scheduler goes on from its own."""
    scheduled: list[float] = []

    def before(runner: Runner) -> None:
        groups = runner.optim_wrapper.param_groups
        scheduled[:] = [group["lr"] for group in groups]
        for group in groups:
            group["lr"] = rate(group["lr"], group.get("initial_lr", group["lr"]), runner.iter)

    def after(runner: Runner) -> None:
        for group, value in zip(runner.optim_wrapper.param_groups, scheduled, strict=True):
            group["lr"] = value

    around_iterations(fault, runner, before, after)


@TRAININGS.strikes("schedule-off-by-one")
def one_iteration_late(fault: Fault, runner: Runner) -> None:
    """Each iteration trains at the rate of the one before."""
    last: dict[str, float] = {}

    def rate(scheduled: float, initial: float, iteration: int) -> float:
        late, last["rate"] = last.get("rate", scheduled), scheduled
        return late

    _replaced(fault, runner, rate)


@TRAININGS.strikes("schedule-constant")
def constant(fault: Fault, runner: Runner) -> None:
    """The rate never decays."""
    _replaced(fault, runner, lambda scheduled, initial, iteration: initial)


@TRAININGS.strikes("schedule-power-x1.1")
def decays_faster(fault: Fault, runner: Runner) -> None:
    """The decay's power is severity times what was asked for."""
    power = fault.severity or 1.0
    _replaced(fault, runner, lambda scheduled, initial, iteration: initial * (scheduled / initial) ** power)


@TRAININGS.strikes("schedule-warmed-up")
def warmed_up(fault: Fault, runner: Runner) -> None:
    """A linear warm-up that nobody asked for, over severity iterations."""
    length = fault.severity or 1.0
    _replaced(fault, runner, lambda scheduled, initial, iteration: scheduled * min(1.0, (iteration + 1) / length))


@TRAININGS.strikes("schedule-stepped")
def stepped(fault: Fault, runner: Runner) -> None:
    """The rate is updated every severity-th iteration only."""
    held: dict[str, float] = {}

    def rate(scheduled: float, initial: float, iteration: int) -> float:
        if iteration % round(fault.severity or 1) == 0 or "rate" not in held:
            held["rate"] = scheduled
        return held["rate"]

    _replaced(fault, runner, rate)


@TRAININGS.strikes("schedule-stepped-twice")
def stepped_twice(fault: Fault, runner: Runner) -> None:
    """Each scheduler takes two steps where it should take one."""

    def wrap(runner: Runner) -> None:
        for scheduler in runner.param_schedulers:
            scheduler.step = twice(scheduler.step)

    def twice(step: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(step)
        def faulty(*args: Any, **kwargs: Any) -> Any:
            if runner.iter >= fault.begins:
                step(*args, **kwargs)
            return step(*args, **kwargs)

        return faulty

    at_start(runner, wrap)
