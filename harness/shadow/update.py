"""What an optimizer should make of a parameter, in float64, from the same gradient, state and configured group.

SGD with momentum as in Sutskever et al. 2013 (section 2, with PyTorch's learning rate outside of the velocity), Adam as
in Kingma & Ba 2015 (algorithm 1), AdamW as in Loshchilov & Hutter 2019 (algorithm 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

__all__ = ["UPDATES", "State", "Update"]

State = Mapping[str, torch.Tensor]
Update = Callable[[torch.Tensor, torch.Tensor, State, Mapping[str, Any]], tuple[torch.Tensor, dict[str, torch.Tensor]]]


def _sgd(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    gradient = _towards(gradient, group) + group["weight_decay"] * value
    momentum = group["momentum"]
    if not momentum:
        return value - group["lr"] * gradient, {}
    velocity = state.get("momentum_buffer")
    velocity = gradient if velocity is None else momentum * velocity + (1 - group["dampening"]) * gradient
    step = gradient + momentum * velocity if group["nesterov"] else velocity
    return value - group["lr"] * step, {"momentum_buffer": velocity}


def _adam(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    return _adaptive(value, _towards(gradient, group) + group["weight_decay"] * value, state, group)


def _adamw(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    decayed = value * (1 - group["lr"] * group["weight_decay"])
    return _adaptive(decayed, _towards(gradient, group), state, group)


def _adaptive(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    first, second = group["betas"]
    nothing = torch.zeros_like(value)
    step = float(state.get("step", 0.0)) + 1
    mean = first * state.get("exp_avg", nothing) + (1 - first) * gradient
    square = second * state.get("exp_avg_sq", nothing) + (1 - second) * gradient**2
    after = {"exp_avg": mean, "exp_avg_sq": square}
    largest = square
    if group.get("amsgrad"):
        largest = torch.maximum(state.get("max_exp_avg_sq", nothing), square)
        after["max_exp_avg_sq"] = largest
    scale = (largest / (1 - second**step)).sqrt() + group["eps"]
    return value - group["lr"] / (1 - first**step) * mean / scale, after


def _towards(gradient: torch.Tensor, group: Mapping[str, Any]) -> torch.Tensor:
    return -gradient if group.get("maximize") else gradient


UPDATES: Mapping[str, Update] = {"SGD": _sgd, "Adam": _adam, "AdamW": _adamw}
"""Optimizer class → its update."""
