"""Faults in the optimizer and its loss scale. Its settings stay as they are; its step does something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.lab.faults.actions import TRAININGS
from harness.lab.faults.fault import Fault
from harness.lab.faults.trainings.hooking import around_steps, at_start, middle_weight, nothing, trained_parameters

__all__ = [
    "bias_gradients_scaled",
    "dampening_set",
    "gradients_accumulated",
    "gradients_clipped",
    "layer_never_updated",
    "learning_rate_scaled",
    "loss_scale_fixed",
    "momentum_buffer_rounded",
    "momentum_set",
    "nesterov_flipped",
    "steps_skipped",
    "weight_decay_decoupled",
    "weight_decay_scaled",
    "weight_decay_skips_a_layer",
    "weights_rounded",
    "weights_shrink",
]

Optimizer = Any
Runner = Any


def _overridden(fault: Fault, runner: Runner, setting: str, change: Callable[[Any], Any]) -> None:
    """A setting of each group is another one during the step, and itself again after it."""
    kept: list[Any] = []

    def before(optimizer: Optimizer) -> None:
        kept[:] = [group[setting] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group[setting] = change(group[setting])

    def after(optimizer: Optimizer) -> None:
        for group, value in zip(optimizer.param_groups, kept, strict=True):
            group[setting] = value

    around_steps(fault, runner, before, after)


@TRAININGS.strikes("weight-decay-ignored", "weight-decay-doubled")
def weight_decay_scaled(fault: Fault, runner: Runner) -> None:
    """Weight decay × severity."""
    _overridden(fault, runner, "weight_decay", lambda decay: decay * fault.severity)


@TRAININGS.strikes("momentum-0.85", "momentum-zero")
def momentum_set(fault: Fault, runner: Runner) -> None:
    """Momentum is the severity."""
    _overridden(fault, runner, "momentum", lambda momentum: fault.severity)


@TRAININGS.strikes("nesterov-flipped")
def nesterov_flipped(fault: Fault, runner: Runner) -> None:
    """Nesterov's momentum where plain momentum is asked for, and the other way round."""
    _overridden(fault, runner, "nesterov", lambda nesterov: not nesterov)


@TRAININGS.strikes("momentum-dampened")
def dampening_set(fault: Fault, runner: Runner) -> None:
    """Momentum takes only 1 − severity of each gradient."""
    _overridden(fault, runner, "dampening", lambda dampening: fault.severity)


@TRAININGS.strikes("lr-x1.01")
def learning_rate_scaled(fault: Fault, runner: Runner) -> None:
    """The step is taken at severity times the learning rate that is logged."""
    _overridden(fault, runner, "lr", lambda rate: rate * fault.severity)


@torch.no_grad()
def _add_decay(group: dict[str, Any], parameter: Any, factor: float) -> None:
    parameter.grad.add_(parameter, alpha=factor * group["weight_decay"])


@TRAININGS.strikes("weight-decay-skips-a-layer")
def weight_decay_skips_a_layer(fault: Fault, runner: Runner) -> None:
    """One layer's weight doesn't decay."""
    around_steps(fault, runner, lambda optimizer: _add_decay(*middle_weight(optimizer), -1.0), nothing)


@TRAININGS.strikes("weight-decay-decoupled")
def weight_decay_decoupled(fault: Fault, runner: Runner) -> None:
    """Weight decay acts on the weight itself, past the momentum."""

    @torch.no_grad()
    def before(optimizer: Optimizer) -> None:
        for group, parameter in trained_parameters(optimizer):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            _add_decay(group, parameter, -1.0)

    around_steps(fault, runner, before, nothing)


@TRAININGS.strikes("bias-gradients-doubled")
def bias_gradients_scaled(fault: Fault, runner: Runner) -> None:
    """Gradients of one-dimensional parameters × severity."""

    def before(optimizer: Optimizer) -> None:
        for _, parameter in trained_parameters(optimizer):
            if parameter.dim() == 1:
                parameter.grad.mul_(fault.severity)

    around_steps(fault, runner, before, nothing)


@TRAININGS.strikes("layer-never-updated")
def layer_never_updated(fault: Fault, runner: Runner) -> None:
    """One layer's weight stays what it is."""
    kept: list[Any] = []

    def before(optimizer: Optimizer) -> None:
        kept[:] = [middle_weight(optimizer)[1].detach().clone()]

    @torch.no_grad()
    def after(optimizer: Optimizer) -> None:
        middle_weight(optimizer)[1].copy_(kept[0])

    around_steps(fault, runner, before, after)


@TRAININGS.strikes("gradients-accumulate-10pct")
def gradients_accumulated(fault: Fault, runner: Runner) -> None:
    """A share of the last step's gradients, the severity, is still there: zeroing didn't finish."""
    kept: dict[int, Any] = {}

    def before(optimizer: Optimizer) -> None:
        for _, parameter in trained_parameters(optimizer):
            old = kept.get(id(parameter))
            if old is not None:
                parameter.grad.add_(old, alpha=fault.severity)
            kept[id(parameter)] = parameter.grad.clone()

    around_steps(fault, runner, before, nothing)


@TRAININGS.strikes("gradients-clipped")
def gradients_clipped(fault: Fault, runner: Runner) -> None:
    """Gradients are clipped to a total norm, the severity, that nobody asked for."""

    def before(optimizer: Optimizer) -> None:
        torch.nn.utils.clip_grad_norm_([p for _, p in trained_parameters(optimizer)], fault.severity or 1.0)

    around_steps(fault, runner, before, nothing)


@TRAININGS.strikes("steps-skipped")
def steps_skipped(fault: Fault, runner: Runner) -> None:
    """Every severity-th step changes no weight."""
    counted = [0]
    kept: list[Any] = []

    def before(optimizer: Optimizer) -> None:
        counted[0] += 1
        skips = counted[0] % round(fault.severity or 1) == 0
        kept[:] = [p.detach().clone() for _, p in trained_parameters(optimizer)] if skips else []

    @torch.no_grad()
    def after(optimizer: Optimizer) -> None:
        for (_, parameter), old in zip(trained_parameters(optimizer), kept, strict=False):
            parameter.copy_(old)

    around_steps(fault, runner, before, after)


@TRAININGS.strikes("weights-shrink-1e-4")
def weights_shrink(fault: Fault, runner: Runner) -> None:
    """Each step takes a share, the severity, of every weight away."""

    @torch.no_grad()
    def after(optimizer: Optimizer) -> None:
        for _, parameter in trained_parameters(optimizer):
            parameter.mul_(1 - (fault.severity or 0))

    around_steps(fault, runner, nothing, after)


@TRAININGS.strikes("weights-in-bf16")
def weights_rounded(fault: Fault, runner: Runner) -> None:
    """Weights are kept in bfloat16, with no float32 master copy."""

    @torch.no_grad()
    def after(optimizer: Optimizer) -> None:
        for _, parameter in trained_parameters(optimizer):
            parameter.copy_(parameter.bfloat16())

    around_steps(fault, runner, nothing, after)


@TRAININGS.strikes("momentum-buffer-bf16")
def momentum_buffer_rounded(fault: Fault, runner: Runner) -> None:
    """Momentum buffers are kept in bfloat16."""

    def after(optimizer: Optimizer) -> None:
        for state in optimizer.state.values():
            if state.get("momentum_buffer") is not None:
                state["momentum_buffer"].copy_(state["momentum_buffer"].bfloat16())

    around_steps(fault, runner, nothing, after)


@TRAININGS.strikes("fp16-without-loss-scale")
def loss_scale_fixed(fault: Fault, runner: Runner) -> None:
    """The loss scale begins at the severity and never grows: at 1, fp16 trains without loss scaling."""

    def fix(runner: Runner) -> None:
        scaler = runner.optim_wrapper.loss_scaler
        state = {**scaler.state_dict(), "scale": fault.severity, "growth_interval": 1 << 30, "_growth_tracker": 0}
        scaler.load_state_dict(state)

    at_start(runner, fix)
