"""Where in the model a call was made: the module, in the forward and in the backward that answers it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from harness.shadow.evidence.checks import Part
from harness.training.unseen_code import COMPILER, THREADS, StaysBehind, has_compiled, is_seen

__all__ = ["CallSites"]


class CallSites:
    """Follows a training step through the model.

    In the forward, hooks keep the stack of modules. The autograd node that a call is going to be differentiated by
    has a sequence number, which the call's module is remembered under; in the backward the running node tells it. A
    forward that gradient checkpointing runs again within the backward is told by its stack.

    Args:
        model: the bare model; its modules' dotted names are the paths.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._parameters = {id(parameter): name for name, parameter in model.named_parameters(remove_duplicate=False)}
        self._stack: list[str] = []
        self._made: dict[int, str] = {}
        self._optimizing = False
        self._elsewhere = 0

    @property
    def unseen(self) -> dict[str, str]:
        """What of the step no operation shows, and why: each counts as a call that wasn't checked."""
        unseen = {}
        if has_compiled():
            unseen[COMPILER] = "this process compiled a function: what compiled code calls isn't seen"
        if self._elsewhere:
            unseen[THREADS] = "modules ran in other threads than the step's"
        return unseen

    @contextmanager
    def following(self, *, modules: bool = True) -> Iterator[None]:
        """While it is entered, the model's calls are followed; without its modules, those of no module are."""
        self._stack.clear()
        self._made.clear()
        self._optimizing = False
        self._elsewhere = 0
        handles, leave = [], StaysBehind(self._leave)
        for path, module in self._model.named_modules() if modules else ():
            if isinstance(module, torch.jit.ScriptModule):  # takes no hooks: its calls are its parent's
                continue
            handles.append(module.register_forward_pre_hook(StaysBehind(self._entering(path)), prepend=True))
            handles.append(module.register_forward_hook(leave, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def optimizing(self) -> Iterator[None]:
        """While it is entered, calls are the optimizer's."""
        self._optimizing = True
        try:
            yield
        finally:
            self._optimizing = False

    @contextmanager
    def within(self, module: str) -> Iterator[None]:
        """While it is entered, calls are taken for those of a module's forward."""
        self._stack.append(module)
        try:
            yield
        finally:
            self._stack.pop()

    def here(self) -> tuple[Part, str]:
        """The part of the step and the path of the module that the present call belongs to."""
        if self._stack:
            path = self._stack[-1]
            self._made.setdefault(_next_sequence_number() - 1, path)
            return Part.FORWARD, path
        if self._optimizing:
            return Part.OPTIMIZER, ""
        node = _running_node()
        if node is not None:
            return Part.BACKWARD, self._module_of(node)
        return Part.LOSS, ""

    def parameter(self, tensor: torch.Tensor) -> str:
        """The name of a parameter, empty for any other tensor."""
        return self._parameters.get(id(tensor), "")

    def _module_of(self, node: Any) -> str:
        variable = getattr(node, "variable", None)
        if variable is not None:
            return self.parameter(variable).rpartition(".")[0]
        return self._made.get(node._sequence_nr(), "")

    def _entering(self, path: str) -> Any:
        def enter(module: torch.nn.Module, args: Any) -> None:
            self._stack.append(path)
            self._elsewhere += not is_seen()

        return enter

    def _leave(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        if self._stack:
            self._stack.pop()


def _next_sequence_number() -> int:
    return int(torch._C._autograd._get_sequence_nr())


def _running_node() -> Any:
    return torch._C._current_autograd_node()
