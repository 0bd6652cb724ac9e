"""What an optimizer should make of a parameter, in float64, from the same gradient, state and configured group.

SGD with momentum as in Sutskever et al. 2013 (section 2, with PyTorch's learning rate outside of the velocity), Adam as
in Kingma & Ba 2015 (algorithm 1) and Adamax (algorithm 2), AdamW as in Loshchilov & Hutter 2019 (algorithm 2), RMSprop
as in Tieleman & Hinton 2012 (lecture 6e), centered as in Graves 2013 (arXiv 1308.0850, equations 38 to 41), Adagrad as
in Duchi et al. 2011 (figure 1), Adadelta as in Zeiler 2012 (arXiv 1212.5701, algorithm 1), NAdam as in Dozat 2016
(algorithm 2), RAdam as in Liu et al. 2020 (arXiv 1908.03265, algorithm 2). Where PyTorch's documented algorithm differs
from the paper, in where ε stands and how weights decay, it is PyTorch's.

Each treats every element by itself, so that a sample of a tensor shows what it does to all. Those that don't (Muon,
Adafactor, LBFGS), and those that weigh by a sign that float64 may see otherwise (Rprop), have none here.
"""

from __future__ import annotations

import math
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
    value, gradient = _decayed(value, _towards(gradient, group), group)
    return _adaptive(value, gradient, state, group)


def _adamw(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    decayed = value * (1 - group["lr"] * group["weight_decay"])
    return _adaptive(decayed, _towards(gradient, group), state, group)


def _adaptive(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    first, second = group["betas"]
    step, after = _moments(gradient, state, group)
    largest = after["exp_avg_sq"]
    if group.get("amsgrad"):
        largest = torch.maximum(state.get("max_exp_avg_sq", torch.zeros_like(value)), largest)
        after["max_exp_avg_sq"] = largest
    scale = (largest / (1 - second**step)).sqrt() + group["eps"]
    return value - group["lr"] / (1 - first**step) * after["exp_avg"] / scale, after


def _adamax(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    first, second = group["betas"]
    gradient = _towards(gradient, group) + group["weight_decay"] * value
    nothing = torch.zeros_like(value)
    mean = first * state.get("exp_avg", nothing) + (1 - first) * gradient
    largest = torch.maximum(second * state.get("exp_inf", nothing), gradient.abs() + group["eps"])
    rate = group["lr"] / (1 - first ** _next_step(state))
    return value - rate * mean / largest, {"exp_avg": mean, "exp_inf": largest}


def _nadam(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    first, second = group["betas"]
    value, gradient = _decayed(value, _towards(gradient, group), group)
    step, after = _moments(gradient, state, group)
    momentum, following = (
        first * (1 - 0.5 * 0.96 ** (number * group["momentum_decay"])) for number in (step, step + 1)
    )
    product = state.get("mu_product", torch.ones(1, dtype=value.dtype)) * momentum
    scale = (after["exp_avg_sq"] / (1 - second**step)).sqrt() + group["eps"]
    ahead = (1 - momentum) / (1 - product) * gradient + following / (1 - product * following) * after["exp_avg"]
    return value - group["lr"] * ahead / scale, {**after, "mu_product": product}


def _radam(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    first, second = group["betas"]
    value, gradient = _decayed(value, _towards(gradient, group), group)
    step, after = _moments(gradient, state, group)
    longest = 2 / (1 - second) - 1
    length = longest - 2 * step * second**step / (1 - second**step)
    direction = after["exp_avg"] / (1 - first**step)
    if length > 5:
        rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        scale = (after["exp_avg_sq"].sqrt() + group["eps"]) / math.sqrt(1 - second**step)
        direction = math.sqrt(rectified) * direction / scale
    return value - group["lr"] * direction, after


def _rmsprop(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    kept, nothing = group["alpha"], torch.zeros_like(value)
    gradient = _towards(gradient, group) + group["weight_decay"] * value
    square = kept * state.get("square_avg", nothing) + (1 - kept) * gradient**2
    after, spread = {"square_avg": square}, square
    if group["centered"]:
        mean = kept * state.get("grad_avg", nothing) + (1 - kept) * gradient
        after["grad_avg"], spread = mean, (square - mean**2).clamp_min(0)
    direction = gradient / (spread.sqrt() + group["eps"])
    if group["momentum"]:
        direction = group["momentum"] * state.get("momentum_buffer", nothing) + direction
        after["momentum_buffer"] = direction
    return value - group["lr"] * direction, after


def _adagrad(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    gradient = _towards(gradient, group) + group["weight_decay"] * value
    total = state.get("sum", torch.full_like(value, group["initial_accumulator_value"])) + gradient**2
    rate = group["lr"] / (1 + (_next_step(state) - 1) * group["lr_decay"])
    return value - rate * gradient / (total.sqrt() + group["eps"]), {"sum": total}


def _adadelta(
    value: torch.Tensor, gradient: torch.Tensor, state: State, group: Mapping[str, Any]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    kept, nothing = group["rho"], torch.zeros_like(value)
    gradient = _towards(gradient, group) + group["weight_decay"] * value
    square = kept * state.get("square_avg", nothing) + (1 - kept) * gradient**2
    moved = state.get("acc_delta", nothing)
    step = ((moved + group["eps"]) / (square + group["eps"])).sqrt() * gradient
    after = {"square_avg": square, "acc_delta": kept * moved + (1 - kept) * step**2}
    return value - group["lr"] * step, after


def _moments(gradient: torch.Tensor, state: State, group: Mapping[str, Any]) -> tuple[Any, dict[str, torch.Tensor]]:
    """The number of the step, and the running means of the gradient and its square after it."""
    first, second = group["betas"]
    nothing = torch.zeros_like(gradient)
    mean = first * state.get("exp_avg", nothing) + (1 - first) * gradient
    square = second * state.get("exp_avg_sq", nothing) + (1 - second) * gradient**2
    return _next_step(state), {"exp_avg": mean, "exp_avg_sq": square}


def _decayed(
    value: torch.Tensor, gradient: torch.Tensor, group: Mapping[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Value and gradient with the decay where the group asks for it: in the value by itself, or in the gradient."""
    if group.get("decoupled_weight_decay"):
        return value * (1 - group["lr"] * group["weight_decay"]), gradient
    return value, gradient + group["weight_decay"] * value


def _next_step(state: State) -> Any:
    """The number of the step: a float, or in float32 the tensor that the step is counted in."""
    step = state.get("step")
    if step is not None and step.dtype is torch.float32:
        return step.reshape(()) + 1
    return float(step if step is not None else 0.0) + 1


def _towards(gradient: torch.Tensor, group: Mapping[str, Any]) -> torch.Tensor:
    return -gradient if group.get("maximize") else gradient


UPDATES: Mapping[str, Update] = {
    "SGD": _sgd,
    "Adam": _adam,
    "AdamW": _adamw,
    "Adamax": _adamax,
    "NAdam": _nadam,
    "RAdam": _radam,
    "RMSprop": _rmsprop,
    "Adagrad": _adagrad,
    "Adadelta": _adadelta,
}
"""PyTorch's optimizer, by the name of its class → its update."""
