"""The learning rates that a config's schedulers give, computed beside the run: what each iteration should train at."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

__all__ = ["scheduled_rates"]


def scheduled_rates(runner: Any, iterations: int) -> list[list[float]] | None:
    """The learning rate of each parameter group at each iteration, by the config alone.

    Args:
        runner: mmengine's, built and not yet training.
        iterations: how many.

    Returns:
        Of each iteration the groups' rates; None where the schedule isn't counted in iterations.
    """
    initial = [float(group.get("initial_lr", group["lr"])) for group in runner.optim_wrapper.optimizer.param_groups]
    configured = copy.deepcopy(runner.cfg.get("param_scheduler"))
    if not configured:
        return [initial] * iterations
    configured = configured if isinstance(configured, list) else [configured]
    if any(scheduler.get("by_epoch", True) for scheduler in configured):
        return None
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in initial]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=1.0))
    for scheduler in configured:
        scheduler.setdefault("end", runner.max_iters)
    built = [PARAM_SCHEDULERS.build(scheduler, default_args={"optimizer": wrapper}) for scheduler in configured]
    rates = []
    for _ in range(iterations):
        # The wrapper's own groups hold one more where there are several: mmengine's for the base rate.
        rates.append([float(group["lr"]) for group in wrapper.optimizer.param_groups])
        wrapper.step()  # without gradients it changes nothing; schedulers want it called before them
        for scheduler in built:
            scheduler.step()
    return rates
