"""What the recorder, shadow ops, faults and the evaluation probe ask of a training, whoever runs its loop.

Two kinds are there: mmengine's Runner (``mmengine_runner``), and a user's own loop (``own_loop``). How a batch is fed,
what a step logs, how many optimizers and parameter groups there are, and what an epoch is, is known to them alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch

from harness.shadow.evidence.checks import ShadowCheck

__all__ = ["Observer", "StepChecks", "Trained", "trained_kind"]


class Trained(ABC):
    """A training that is observed.

    Attributes:
        model: bare, out of a wrapper that distributes it; its parameters lie on the device.
        optimizers: those that train it, in a fixed order.
        iteration: that is made now; kept by whoever runs the loop.
        distributed: the DistributedDataParallel that averages its gradients over processes; None where none does.
    """

    model: torch.nn.Module
    optimizers: tuple[torch.optim.Optimizer, ...]
    iteration: int = 0
    distributed: torch.nn.Module | None = None

    @property
    def answers(self) -> bool:
        """Whether it may be asked in evaluation mode."""
        return True

    def remember(self) -> Callable[[], None]:
        """Keep what a step changes beside the model's tensors and the optimizers' state.

        Returns:
            What puts it back, where a run is started anew; here nothing is known of it.
        """
        return lambda: None

    @abstractmethod
    def logged(self, returned: Any) -> dict[str, torch.Tensor]:
        """What a step logged: name → a tensor of one element; ``loss`` is the total.

        Args:
            returned: by the training's step.

        Raises:
            TraceError: it holds no loss, or one that is no scalar.
        """

    @abstractmethod
    def evaluate(self, batch: Any) -> Mapping[str, torch.Tensor] | None:
        """What the model answers to a batch in the mode that it is in; None where it can't be asked.

        Returns:
            ``*loss*`` scalars, and matrices ``<head>.confusion`` (K, K) where the model counts them.
        """

    @abstractmethod
    def checks(self, iterations: Sequence[int], keep: Any) -> StepChecks:
        """What is checked by program at shadowed iterations, asked before the first one.

        Args:
            iterations: which.
            keep: a ``Keep`` of ``shadow.reproducing.program``, told of each check.
        """


class StepChecks(Protocol):
    """Checks by program of one shadowed iteration at a time: of what operations can't show.

    Attributes:
        found: the checks of this iteration so far.
        skipped: what isn't checked → why.
        unchecked: of that, how many results it has: they count as calls that weren't checked.
    """

    found: list[ShadowCheck]
    skipped: dict[str, str]
    unchecked: dict[str, int]

    def before(self, iteration: int, batch: Any) -> None:
        """Sample what the step is going to change."""

    def listening(self, optimizing: Callable[[], AbstractContextManager[Any]]) -> AbstractContextManager[Any]:
        """Be told of backward passes and of the optimizers' steps while it is entered.

        Args:
            optimizing: makes what is entered while an optimizer steps.
        """

    def after(self, returned: Any) -> None:
        """Compare what the step made with what it should have made."""


class Observer(Protocol):
    """Is told of a training as it goes on."""

    def begin(self, training: Trained) -> None:
        """Called once, before the first iteration."""

    def before(self, training: Trained, iteration: int, batch: Any) -> None:
        """Called before an iteration.

        Args:
            training: which.
            iteration: its number, from 0.
            batch: that it trains on, as the loader gave it.
        """

    def after(self, training: Trained, iteration: int, batch: Any, returned: Any) -> None:
        """Called after an iteration, with what its step returned."""

    def abandon(self) -> None:
        """Called where an iteration ended in an error: it is left as if it had not been."""

    def end(self) -> None:
        """Called once, after the last iteration."""


def trained_kind(model: torch.nn.Module) -> str:
    """The torch device type that a model's parameters lie on."""
    return str(next(model.parameters()).device.type)
