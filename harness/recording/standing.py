"""What stands in a model: its modules' parameters and buffers, as a training adds, replaces and freezes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter, is_, methodcaller
from typing import Any

import torch

__all__ = ["Standing", "are_the_same"]

_CHILDREN, _PARAMETERS, _BUFFERS = map(attrgetter, ("_modules", "_parameters", "_buffers"))
_TRAINED, _VALUES = attrgetter("requires_grad"), methodcaller("values")


class Standing:
    """The parameters and buffers of a model, by name.

    It is asked at every step, and finding the names takes most of the time: that is done anew only where a module, a
    parameter or a buffer is another object than before, or where a parameter begins or ceases to be trained.

    Args:
        model: whose modules are looked at.

    Attributes:
        held: every parameter once, in the order in which the modules have them.
        parameters: name → parameter.
        trained: those of them that are trained.
        buffers: name → buffer.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._modules: list[torch.nn.Module] = [model]
        self._children: list[Any] = [None]
        self._tensors: list[Any] = []
        self._flags: list[bool] = []
        self.held: list[torch.nn.Parameter] = []
        self.parameters: dict[str, torch.nn.Parameter] = {}
        self.trained: dict[str, torch.nn.Parameter] = {}
        self.buffers: dict[str, torch.Tensor] = {}

    def look(self) -> None:
        """Find what stands there now."""
        if not are_the_same(self._values(_CHILDREN), self._children):
            self._modules = list(self._model.modules())
            self._children = self._values(_CHILDREN)
            self._tensors = [None]
        tensors = [*self._values(_PARAMETERS), *self._values(_BUFFERS)]
        if not are_the_same(tensors, self._tensors) or list(map(_TRAINED, self.held)) != self._flags:
            self._tensors = tensors
            self.parameters = dict(self._model.named_parameters())
            self.held = list(self.parameters.values())
            self._flags = list(map(_TRAINED, self.held))
            self.trained = {name: parameter for name, parameter in self.parameters.items() if parameter.requires_grad}
            self.buffers = {name: buffer for name, buffer in self._model.named_buffers() if buffer is not None}

    def _values(self, what: attrgetter[Any]) -> list[Any]:
        return [*chain.from_iterable(map(_VALUES, map(what, self._modules)))]


def are_the_same(these: Sequence[Any], those: Sequence[Any]) -> bool:
    """Whether two sequences hold the same objects: tensors that are merely equal are others."""
    return len(these) == len(those) and all(map(is_, these, those))
