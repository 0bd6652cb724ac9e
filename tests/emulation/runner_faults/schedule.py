"""Faults in the learning-rate schedule: the rate that each iteration trains at."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.lab.faults import FAULTS
from tests.emulation.runner_faults.stand_in import RATE, Check, FakeRunner


def rates(name: str, count: int = 12) -> list[tuple[float, float]]:
    """The rate that each iteration trains at, and the scheduled one."""
    runner = FakeRunner().start(FAULTS[name])
    (group,) = runner.optimizer.param_groups
    trace = []
    for iteration in range(count):
        scheduled = group["lr"] = RATE * (1 - iteration / 20) ** 0.9
        runner.iter = iteration
        for hook in runner.hooks:
            hook.before_train_iter(runner, iteration)
        used = group["lr"]
        for hook in runner.hooks:
            hook.after_train_iter(runner, iteration)
        assert group["lr"] == scheduled
        trace.append((used, scheduled))
    return trace


def rated(rule: Callable[[int], float]) -> Check:
    """`rule` says by which factor of the first rate each iteration trains."""

    def check(name: str) -> None:
        for iteration, (used, _) in enumerate(rates(name)):
            assert used == pytest.approx(RATE * rule(iteration), rel=1e-12)

    return check


def poly(iteration: int) -> float:
    return (1 - iteration / 20) ** 0.9


CHECKS: dict[str, Check] = {
    "schedule-off-by-one": rated(lambda iteration: poly(max(0, iteration - 1))),
    "schedule-constant": rated(lambda iteration: 1.0),
    "schedule-power-x1.1": rated(lambda iteration: (1 - iteration / 20) ** 0.99),
    "schedule-warmed-up": rated(lambda iteration: poly(iteration) * min(1.0, (iteration + 1) / 10)),
    "schedule-stepped": rated(lambda iteration: poly(iteration // 10 * 10)),
}
