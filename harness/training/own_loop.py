"""A training whose loop is the user's own, as the recorder, shadow ops and faults see it."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from harness.recording.batches import first_tensor
from harness.shadow.reproducing.program import Keep
from harness.training.own_checks import OwnChecks
from harness.training.seam import StepChecks, Trained
from harness.values.errors import AlignmentError, CaseError, TraceError

__all__ = ["OWN_PRECISION", "OwnTraining", "batch_size", "scalars_of", "settings_of"]

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


def scalars_of(returned: Any, where: str) -> dict[str, torch.Tensor]:
    """What is logged as tensors of one element, ``loss`` among them.

    Args:
        returned: a number or a tensor of one element, which is the loss; or name → such, which may be nested in
            mappings and sequences: their names and numbers are joined by dots.
        where: for messages.

    Raises:
        TraceError: there is no loss, or something that is no scalar.
    """
    if not isinstance(returned, Mapping):
        if returned is None:
            raise TraceError(
                "nothing is logged: a trace needs the loss of every iteration",
                where=where,
                observed="None",
                allowed="a loss, or name → number with a loss among them",
            )
        returned = {"loss": returned}
    found = dict(_flat(returned, "", where))
    if "loss" not in found:
        losses = [value for name, value in found.items() if "loss" in name]
        if not losses:
            raise TraceError(
                "no loss is logged: a trace needs one at every iteration",
                where=where,
                observed=", ".join(found) or "nothing",
                allowed="a value named loss, or some whose names hold loss, which are added up",
            )
        found = {"loss": torch.stack([value.detach().double().cpu().reshape(()) for value in losses]).sum(), **found}
    return found


def _flat(value: Any, name: str, where: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key), where)
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{number}" if name else str(number), where)
    elif isinstance(value, torch.Tensor):
        if value.numel() != 1 or value.is_complex():
            raise TraceError(
                "a value that is logged is no scalar",
                where=f"{where}: {name}",
                observed=f"{value.dtype} {tuple(value.shape)}",
                allowed="a tensor of one element, or a number",
                hint=f"log {name}.mean(), or leave it out",
            )
        yield name, value.detach()
    elif isinstance(value, numbers.Real) or (isinstance(value, np.ndarray) and value.ndim == 0):
        yield name, torch.tensor(float(value), dtype=torch.float64)
    else:
        raise TraceError(
            "a value that is logged is no scalar",
            where=f"{where}: {name}",
            observed=type(value).__name__,
            allowed="numbers, tensors of one element, and mappings and sequences of them",
        )


def settings_of(training: OwnTraining, settings: Mapping[str, Any]) -> dict[str, str]:
    """What must be equal, as text: the user's own settings, and those of the optimizers and their groups."""
    told = {f"settings.{name}": repr(value) for name, value in settings.items()}
    for number, optimizer in enumerate(training.optimizers):
        told[f"optimizers.{number}"] = type(optimizer).__name__
        groups = optimizer.param_groups
        for name in groups[0]:
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
        return torch.nn.ModuleDict(modules)
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
    if type(model).__name__ == "OptimizedModule":
        raise _unsupported("a compiled model", where, "the model before torch.compile")
    return model


def _unwrapped(optimizers: Any, where: str) -> tuple[torch.optim.Optimizer, ...]:
    if isinstance(optimizers, Mapping):
        optimizers = list(optimizers.values())
    several = list(optimizers) if isinstance(optimizers, (list, tuple)) else [optimizers]
    found = []
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
    for name, module in model.named_modules():
        if getattr(module, "sparse", False) and isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag)):
            raise _unsupported("a sparse gradient", f"{where}: {name}", "dense gradients", "sparse=False")
    for name, parameter in parameters.items():
        if isinstance(parameter, torch.nn.parameter.UninitializedParameter):
            raise _unsupported("a lazy module", f"{where}: {name}", "a model with shapes", "run one forward first")


def _unsupported(what: str, where: str, allowed: str, hint: str | None = None) -> AlignmentError:
    return CaseError(f"{what} can't be watched", where=where or None, allowed=allowed, hint=hint)
