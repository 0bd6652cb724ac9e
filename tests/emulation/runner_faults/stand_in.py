"""A stand-in for mmengine's Runner, and what a check of a fault is."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from harness.lab.faults import Fault

RATE, MOMENTUM, DECAY = 0.1, 0.9, 0.01
Check = Callable[[str], None]


class FakeRunner:
    """What faults touch of a Runner: hooks, iteration, model, optimizer."""

    def __init__(self, model: torch.nn.Module | None = None, iterations: int = 1) -> None:
        self.iter = 0
        self.hooks: list[Any] = []
        self.model = model or Layers()
        self.optimizer = torch.optim.SGD(self.model.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
        self.optim_wrapper = SimpleNamespace(optimizer=self.optimizer, param_groups=self.optimizer.param_groups)
        for group in self.optimizer.param_groups:
            group["initial_lr"] = RATE

    def register_hook(self, hook: Any, priority: str) -> None:
        self.hooks.append(hook)

    def start(self, fault: Fault | None) -> FakeRunner:
        if fault is not None:
            fault.attach(self)
        for hook in self.hooks:
            hook.before_train(self)
        return self


class Layers(torch.nn.Module):
    """Three matrices and a vector, all ones."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterList([torch.ones(2, 2) for _ in range(3)] + [torch.ones(2)])
