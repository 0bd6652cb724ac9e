"""Shadowed training steps of a model that is no case: each operation of forward, backward and optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import _disable_current_modes

from harness.shadow.arithmetic.host import change_tensors
from harness.shadow.by_program.gradient_gathering import GradientsWatched
from harness.shadow.by_program.stepping import BareWrapper, StepProgram
from harness.shadow.evidence.call_signature import CallSignature
from harness.shadow.evidence.checks import Coverage, ShadowCheck, ShadowRecord
from harness.shadow.evidence.unchecked import Unchecked, modules_of, reasons_of
from harness.shadow.forced.forcing import ForcedCalls
from harness.shadow.model_sources import FAILURES, LoneModel
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps
from harness.values.errors import ModelError, UsageError
from harness.values.trace import Trace

__all__ = ["AUTOCAST", "Training", "shadow_steps"]

AUTOCAST = {"fp16": torch.float16, "bf16": torch.bfloat16}
"""What ``--autocast`` may be → the dtype."""


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Args:
        optimizer: the name of a class of ``torch.optim``.
        options: given to it.
        autocast: a key of ``AUTOCAST``, empty for none. With fp16 the loss is scaled.
        steps: how many; each is shadowed.
        tier: precision tier, a key of ``SHADOW_TIERS``.
        budget: bytes of host memory that one operation may take.
    """

    optimizer: str = "SGD"
    options: Mapping[str, Any] = field(default_factory=dict)
    autocast: str = ""
    steps: int = 1
    tier: str = "tf32"
    budget: int = 8 * 2**30


def shadow_steps(
    model: LoneModel,
    kind: str,
    training: Training,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
    on_check: Callable[[int, int], None] = lambda step, number: None,
    forced: ForcedCalls | None = None,
) -> tuple[ShadowRecord, Trace]:
    """Train a model on one batch on a device, each step shadowed.

    Args:
        model: on the host.
        kind: the device's type, opened: ``cpu``, ``cuda``, ``sdaa``.
        training: how.
        on_step: called after each step with its number and its loss.
        on_check: called within a step with its number and how many operations have been called, before each is checked.
        forced: makes each operation of the first step again with hard inputs; none without it.

    Returns:
        Every check, and the trace of the losses.

    Raises:
        UsageError: there is no such optimizer, or it doesn't take the options.
        ModelError: the step ends in an error.
    """
    device = torch.device(kind)
    module = model.module.to(device)
    args, kwargs = (
        change_tensors(value, lambda t: t.to(device)) for value in (tuple(model.args), [*model.kwargs.values()])
    )
    named = dict(zip(model.kwargs, kwargs, strict=True))
    wrapper = BareWrapper(_optimizer(module, training), _scaler(kind, training))
    steps = _Steps(module, wrapper, training, on_check, forced)
    losses = []
    for step in range(training.steps):
        cast = _autocast(kind, training)
        try:
            losses.append(steps.take(step, lambda: model.loss(module(*args, **named)), cast))
        except FAILURES as failure:
            raise ModelError(
                "the model's training step ends in an error",
                where=f"{model.name}, step {step}",
                observed=f"{type(failure).__name__}: {(str(failure).splitlines() or [''])[0][:200]}",
            ) from failure
        steps.make_again(step)
        on_step(step, losses[-1])
    iterations = np.arange(len(losses))
    return steps.record, Trace(iterations, {"loss": np.array(losses)}, training.steps, len(losses) == training.steps)


class _Steps:
    """Takes shadowed steps, and gathers what was found.

    Args:
        module: on its device.
        wrapper: around its optimizer.
        training: how.
        on_check: called with a step and how many operations have been called, before each is checked.
        forced: of the first step.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        wrapper: BareWrapper,
        training: Training,
        on_check: Callable[[int, int], None],
        forced: ForcedCalls | None,
    ) -> None:
        self._module, self._wrapper, self._training = module, wrapper, training
        self._on_check = on_check
        self._forced = forced
        self._where = CallSites(module)
        self._names = {id(parameter): name for name, parameter in module.named_parameters()}
        self._groups = [
            {name: value for name, value in group.items() if name != "params"}
            for group in wrapper.optimizer.param_groups
        ]
        self._checks: list[ShadowCheck] = []
        self._calls: dict[str, int] = {}
        self._checked: dict[str, int] = {}
        self._fallen_back: set[str] = set()
        self._unchecked: list[Unchecked] = []
        self._programs: dict[str, int] = {}
        self._skipped: dict[str, str] = {}
        self._taken = 0
        self._signatures: dict[tuple[int, int], CallSignature] = {}

    def take(self, step: int, forward: Callable[[], torch.Tensor], cast: AbstractContextManager[Any]) -> float:
        """One step; the loss that it had."""
        optimizer, scaler = self._wrapper.optimizer, self._wrapper.loss_scaler
        optimizer.zero_grad()
        watched = GradientsWatched(dict(self._module.named_parameters()), step, None)
        program = StepProgram(self._wrapper, self._names, step, self._groups, None)
        if program.reason:
            name = type(optimizer).__name__
            self._skipped[name], self._programs[name] = program.reason, program.updates * (step + 1)
        else:
            program.before()
        mode = ShadowOps(
            self._where,
            step,
            self._training.tier,
            budget=self._training.budget,
            on_check=partial(self._on_check, step),
        )
        with self._where.following(), (self._forced if step == 0 else None) or nullcontext(), mode:
            with cast:
                loss = forward()
            (scaler.scale(loss) if scaler is not None else loss).backward()
            with _disable_current_modes():
                self._checks += watched.check()
                if not program.reason:
                    program.after_backward()
            with self._where.optimizing():
                if scaler is not None:
                    scaler.step(optimizer)
                else:
                    optimizer.step()
            if not program.reason:
                with _disable_current_modes():
                    self._checks += program.after()
            if scaler is not None:
                scaler.update()
        for name, reason in (self._where.unseen | watched.unseen).items():
            self._skipped[name], self._programs[name] = reason, self._programs.get(name, 0) + 1
        self._gather(mode)
        return float(loss.detach())

    def make_again(self, step: int) -> None:
        """Make the operations of the first step again with hard inputs, where that is asked for."""
        if self._forced is not None and step == 0:
            done = sum(self._calls.values())
            self._forced.replay(step, lambda number: self._on_check(step, done + number))

    def _gather(self, mode: ShadowOps) -> None:
        self._signatures |= {(self._taken, call): signature for call, signature in mode.signatures.items()}
        self._taken += 1
        self._checks += mode.checks
        for total, of_step in ((self._calls, mode.calls), (self._checked, mode.checked)):
            for name, count in of_step.items():
                total[name] = total.get(name, 0) + count
        self._fallen_back |= mode.fallen_back
        self._unchecked += mode.unchecked

    @property
    def record(self) -> ShadowRecord:
        """Of the steps that were taken."""
        skipped = {**self._skipped, **reasons_of(self._unchecked)}
        fallen_back, modules = tuple(sorted(self._fallen_back)), modules_of(self._unchecked)
        coverage = Coverage(self._calls, self._checked, skipped, fallen_back, self._programs, modules)
        iterations = tuple(range(self._taken))
        tier, unchecked = self._training.tier, tuple(self._unchecked)
        return ShadowRecord(iterations, tuple(self._checks), coverage, tier, unchecked, self._signatures)


def _optimizer(module: torch.nn.Module, training: Training) -> torch.optim.Optimizer:
    kind = getattr(torch.optim, training.optimizer, None)
    if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
        raise UsageError(
            "PyTorch has no such optimizer",
            where="--optimizer",
            observed=training.optimizer,
            allowed="a class of torch.optim: SGD, Adam, AdamW, …",
        )
    if kind is torch.optim.LBFGS:
        raise UsageError(
            "this optimizer computes the gradients itself, several times a step",
            where="--optimizer",
            observed=training.optimizer,
            allowed="an optimizer that takes one step from gradients that are there",
        )
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not trained:
        raise ModelError("the model has no parameters", observed=type(module).__name__, allowed="one that is trained")
    options = {"lr": 1e-3, **training.options}
    try:
        return kind(trained, **options)
    except (TypeError, ValueError, RuntimeError) as failure:
        raise UsageError(
            "the optimizer doesn't take these options", where="--optimizer-options", observed=str(failure)
        ) from failure


def _scaler(kind: str, training: Training) -> Any:
    """Of fp16's gradients, where the device has an autocast."""
    return torch.amp.GradScaler(kind, init_scale=2.0**10) if training.autocast == "fp16" else None


def _autocast(kind: str, training: Training) -> AbstractContextManager[Any]:
    return torch.autocast(kind, AUTOCAST[training.autocast]) if training.autocast else nullcontext()
