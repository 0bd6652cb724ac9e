"""A training whose loop is the user's own, as the recorder, shadow ops and faults see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.recording.batches import first_tensor
from harness.shadow.reproducing.program import Keep
from harness.training.logged_values import scalars_of
from harness.training.own_checks import OwnChecks
from harness.training.seam import StepChecks, Trained
from harness.values.errors import AlignmentError, CaseError

__all__ = ["OWN_PRECISION", "OwnTraining", "batch_size", "settings_of"]

OWN_PRECISION = "the loop's own"
"""What a training computes in that says so itself: its step may enter autocast or not."""

_OF_THE_KERNEL = frozenset({"params", "foreach", "fused", "capturable", "differentiable", "decoupled_weight_decay"})
"""Settings of a parameter group that choose how the same update is computed, or what newer PyTorch adds to all."""


class OwnTraining(Trained):
    """A model and its optimizers, stepped by somebody else.

    Args:
        model: what is trained, or name → module.
        optimizers: one, several, or name → optimizer.
        evaluate: what answers a batch in evaluation mode; None where nothing does.
        where: how messages name it.
        kind: the torch device type that it is to train on; wherever the model is where empty.

    Raises:
        CaseError: it can't be watched; the message says why, and what can.
    """

    def __init__(self, model: Any, optimizers: Any, evaluate: Any = None, where: str = "", kind: str = "") -> None:
        self.model = _one_module(model, where)
        self.optimizers = _unwrapped(optimizers, where)
        self._evaluate = evaluate
        _require_supported(self.model, self.optimizers, where, kind)

    @property
    def answers(self) -> bool:
        """Whether it can be asked in evaluation mode."""
        return self._evaluate is not None

    def logged(self, returned: Any) -> dict[str, torch.Tensor]:
        """The scalars that a step returned, under dotted names; see ``Training.step``."""
        return scalars_of(returned, "what the step returned")

    def evaluate(self, batch: Any) -> Mapping[str, torch.Tensor] | None:
        """What ``Training.evaluate`` answers."""
        return None if self._evaluate is None else scalars_of(self._evaluate(batch), "what evaluate returned")

    def checks(self, iterations: Sequence[int], keep: Keep) -> StepChecks:
        """Each backward pass's gradients, and each optimizer's update."""
        return OwnChecks(self, keep)


def settings_of(training: Trained, settings: Mapping[str, Any]) -> dict[str, str]:
    """What must be equal, as text: the user's own settings, and those of the optimizers and their groups."""
    told = {f"settings.{name}": repr(value) for name, value in settings.items()}
    for number, optimizer in enumerate(training.optimizers):
        told[f"optimizers.{number}"] = type(optimizer).__name__
        groups = optimizer.param_groups
        for name in dict.fromkeys(name for group in groups for name in group):
            values = [repr(group.get(name)) for group in groups]
            if name not in _OF_THE_KERNEL:
                alike = values[0] if len(set(values)) == 1 else ", ".join(values)
                told[f"optimizers.{number}.{name}"] = alike
    return told


def batch_size(batch: Any) -> int:
    """The first axis of a batch's first tensor; 0 where it has none."""
    found = first_tensor(batch)
    return int(found.shape[0]) if found is not None and found.dim() else 0


def _one_module(model: Any, where: str) -> torch.nn.Module:
    if isinstance(model, Mapping):
        modules = {str(name): _one_module(module, where) for name, module in model.items()}
        try:
            return torch.nn.ModuleDict(modules)
        except KeyError as failure:
            raise CaseError(
                "a module can't have this name",
                where=where,
                observed=str(failure).strip("'\""),
                allowed="a name without a dot, other than the attributes of torch.nn.ModuleDict (train, eval, half, …)",
            ) from failure
    if not isinstance(model, torch.nn.Module):
        raise CaseError(
            "the model is no module",
            where=where,
            observed=type(model).__name__,
            allowed="torch.nn.Module, or name → module",
        )
    if isinstance(model, torch.nn.parallel.DistributedDataParallel):
        raise _unsupported(
            "a training in several processes", where, "one process", "give model.module of a single process"
        )
    return model


def _unwrapped(optimizers: Any, where: str) -> tuple[torch.optim.Optimizer, ...]:
    if isinstance(optimizers, Mapping):
        optimizers = list(optimizers.values())
    several = list(optimizers) if isinstance(optimizers, (list, tuple)) else [optimizers]
    found: list[torch.optim.Optimizer] = []
    for optimizer in several:
        inner = getattr(optimizer, "optimizer", optimizer)  # Accelerate's and Lightning's wrappers
        inner = inner if isinstance(inner, torch.optim.Optimizer) else optimizer
        if not isinstance(inner, torch.optim.Optimizer):
            raise CaseError(
                "the optimizer is none of torch's",
                where=where,
                observed=type(optimizer).__name__,
                allowed="torch.optim.Optimizer, several of them, or name → optimizer",
            )
        if isinstance(inner, torch.optim.LBFGS):
            raise _unsupported("LBFGS", where, "an optimizer that takes one step from gradients that are there")
        if not any(inner is other for other in found):
            found.append(inner)
    if not found:
        raise CaseError("there is no optimizer: nothing is trained", where=where, allowed="at least one")
    return tuple(found)


def _require_supported(
    model: torch.nn.Module, optimizers: tuple[torch.optim.Optimizer, ...], where: str, kind: str
) -> None:
    parameters = dict(model.named_parameters())
    if not parameters:
        raise CaseError("the model has no parameters", where=where, observed=type(model).__name__)
    kinds = sorted({parameter.device.type for parameter in parameters.values()})
    if len(kinds) > 1 or (kind and kinds != [kind]):
        raise CaseError(
            "the model doesn't lie on the device that it is to train on",
            where=where,
            observed=", ".join(kinds),
            allowed=kind or "one device",
            hint="model.to(device), with the device that the function is called with",
        )
    known = {id(parameter) for parameter in parameters.values()}
    for number, optimizer in enumerate(optimizers):
        strangers = [p for group in optimizer.param_groups for p in group["params"] if id(p) not in known]
        if strangers:
            raise CaseError(
                "an optimizer trains parameters that are none of the model's: nothing would watch them",
                where=f"{where}: optimizer {number}, {type(optimizer).__name__}",
                observed=f"{len(strangers)} parameters, the first of shape {tuple(strangers[0].shape)}",
                allowed="parameters of the model; of several modules give name → module",
                hint="make the optimizer after model.to(device)",
            )
        if missing := [rate for group in optimizer.param_groups if not _is_rate(rate := group.get("lr"))]:
            raise CaseError(
                "an optimizer has a group of parameters without a learning rate",
                where=f"{where}: optimizer {number}, {type(optimizer).__name__}",
                observed=repr(missing[0]),
                allowed="a number: an alignment run holds the learning rates of both sides equal",
                hint="give the optimizer an lr",
            )
    for name, module in model.named_modules():
        _require_watchable(module, f"{where}: {name}" if name else where)
    for name, parameter in parameters.items():
        if isinstance(parameter, torch.nn.parameter.UninitializedParameter):
            raise _unsupported("a lazy module", f"{where}: {name}", "a model with shapes", "run one forward first")


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, torch.Tensor) and value.numel() == 1)


def _require_watchable(module: torch.nn.Module, where: str) -> None:
    if type(module).__name__ == "OptimizedModule" or getattr(module, "_compiled_call_impl", None) is not None:
        raise _unsupported("a compiled model", where, "the model before torch.compile")
    if isinstance(module, torch.jit.ScriptModule):
        raise _unsupported("a scripted model", where, "the model before torch.jit.script")
    if getattr(module, "sparse", False) and isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag)):
        raise _unsupported("a sparse gradient", where, "dense gradients", "sparse=False")


def _unsupported(what: str, where: str, allowed: str, hint: str | None = None) -> AlignmentError:
    return CaseError(f"{what} can't be watched", where=where or None, allowed=allowed, hint=hint)
