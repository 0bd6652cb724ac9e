"""What is checked by program of a user's own loop: each backward pass's gradients, each optimizer's update.

Nothing is known of how the loop clips, scales or schedules. So the gradients are those that an optimizer finds when it
is told to step, and its groups have the settings that they have then: what is checked is that the update follows from
them. A wrong learning rate shows in the trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from harness.shadow.by_program.gradient_gathering import PassesWatched
from harness.shadow.by_program.stepping import BareWrapper, StepProgram
from harness.shadow.evidence.checks import ShadowCheck
from harness.shadow.reproducing.program import Keep
from harness.training.seam import Trained
from harness.training.steps import listen

__all__ = ["OwnChecks"]


class OwnChecks:
    """Checks by program of an own loop's iterations; see ``StepChecks``.

    Args:
        training: whose.
        keep: is told of each check, and how to write it down.
    """

    def __init__(self, training: Trained, keep: Keep) -> None:
        self._training, self._keep = training, keep
        self._names = {id(parameter): name for name, parameter in training.model.named_parameters()}
        self.found: list[ShadowCheck] = []
        self.skipped: dict[str, str] = {}
        self.unchecked: dict[str, int] = {}

    def before(self, iteration: int, batch: Any) -> None:
        """Begin an iteration."""
        self.found, self.skipped, self.unchecked = [], {}, {}
        self._iteration = iteration

    @contextmanager
    def listening(self, optimizing: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
        """Sample gradients as backward passes make them, and parameters around each optimizer's step."""
        parameters = dict(self._training.model.named_parameters())
        passes = PassesWatched(parameters, self._iteration, self.found, self._keep)
        with ExitStack() as stack, passes:
            for optimizer in self._training.optimizers:
                stepping = _Stepping(self, optimizing)
                stack.callback(stepping.close)
                stack.callback(listen(optimizer, stepping.begin, stepping.end))
            yield
        self.skipped |= passes.unseen
        self.unchecked |= dict.fromkeys(passes.unseen, 1)

    def after(self, returned: Any) -> None:
        """Nothing is left to compare: each step was when it ended."""

    def program_of(self, optimizer: torch.optim.Optimizer) -> StepProgram | None:
        """The check of a step that begins; None where there is none, which is told."""
        groups = [
            {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
        ]
        program = StepProgram(BareWrapper(optimizer), self._names, self._iteration, groups, None, self._keep)
        reason = program.reason
        if getattr(optimizer, "grad_scale", None) is not None:
            reason = "a fused step takes scaled gradients"
        if reason:
            name = type(optimizer).__name__
            self.skipped[name] = reason
            self.unchecked[name] = self.unchecked.get(name, 0) + program.updates
            return None
        return program


class _Stepping:
    """One optimizer's steps: sampled before, compared after."""

    def __init__(self, checks: OwnChecks, optimizing: Callable[[], AbstractContextManager[Any]]) -> None:
        self._checks, self._optimizing = checks, optimizing
        self._stack = ExitStack()
        self._program: StepProgram | None = None

    def begin(self, optimizer: torch.optim.Optimizer) -> None:
        """Called when the gradients of a step are there."""
        with _disable_current_modes():
            self._program = self._checks.program_of(optimizer)
            if self._program is not None:
                self._program.before()
                self._program.after_backward()
        self._stack.enter_context(self._optimizing())

    def end(self, _: torch.optim.Optimizer) -> None:
        """Called after its step."""
        self._stack.close()
        if self._program is not None:
            with _disable_current_modes():
                self._checks.found += self._program.after()
        self._program = None

    def close(self) -> None:
        """Leave a step that ended in an error."""
        self._stack.close()
