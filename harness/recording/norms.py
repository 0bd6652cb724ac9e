"""Which norms of the training state are recorded, cheap enough to take at every iteration.

What costs is reading memory: the gradients are read whole at every iteration and the parameters at a few; in between,
the norms of parameters and updates are estimated from evenly spaced rows of each tensor's elements, the same ones on
every device. Elements that lie alone would have a processor read all that lies between them, too. How a norm is
computed stands in ``harness.recording.reductions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from operator import attrgetter, is_, methodcaller
from typing import Any

import torch

from harness.devices.device_registry import type_of_kind
from harness.recording.reductions import BLOCK, BlockNorms, Gathered, Joined, joint_norm
from harness.values.sampling import ROW, largest_step

__all__ = ["SAMPLED_ELEMENTS", "HeldParameters", "StateNorms"]

SAMPLED_ELEMENTS = 4096
"""Elements of a tensor that its norm is estimated from, at least; smaller tensors are read whole."""

_CHILDREN, _PARAMETERS, _VALUES = attrgetter("_modules"), attrgetter("_parameters"), methodcaller("values")

_Written = tuple[tuple[int, int], ...]
"""Of each parameter its address and PyTorch's count of what was written to it; empty where that can't be told."""


@dataclass(frozen=True)
class _Slot:
    """Where a tensor of a model stands: what is there now is asked for each time, since a training may replace it."""

    module: torch.nn.Module
    key: str

    @property
    def tensor(self) -> torch.Tensor:
        found: torch.Tensor | None = self.module._parameters.get(self.key)
        if found is None:
            found = self.module._buffers.get(self.key)
        if found is None:
            raise LookupError(f"{type(self.module).__name__} has no {self.key} any more")
        return found


@dataclass(frozen=True)
class _Sample:
    """The sampled elements of a parameter.

    Args:
        address: of the parameter whose elements are seen; None where each sample is a copy.
        elements: a view of them.
        scale: by what the square of their norm is an estimate of the parameter's.
    """

    address: int | None
    elements: torch.Tensor
    scale: float


@dataclass(frozen=True)
class _Samples:
    """The samples of all parameters, which are laid out anew only where a parameter has moved.

    Args:
        each: one a parameter.
        addresses: of the parameters; None where a sample is a copy, so that nothing tells how old it is.
        gathered: their elements.
        scales: one a parameter.
    """

    each: tuple[_Sample, ...]
    addresses: tuple[int, ...] | None
    gathered: Gathered
    scales: tuple[float, ...]

    @classmethod
    def of(cls, each: Iterable[_Sample]) -> _Samples:
        samples = tuple(each)
        addresses = tuple(sample.address for sample in samples if sample.address is not None)
        return cls(
            each=samples,
            addresses=addresses if len(addresses) == len(samples) else None,
            gathered=Gathered.of([sample.elements for sample in samples]),
            scales=tuple(sample.scale for sample in samples),
        )

    def of_the_same(self, tensors: Sequence[torch.Tensor]) -> bool:
        """Whether the elements are those of these tensors as they are now."""
        # Pointers are asked for last: a device of which no sample is a view may have none.
        known = self.addresses is not None and len(self.each) == len(tensors)
        return known and self.addresses == tuple([tensor.data_ptr() for tensor in tensors])


@dataclass
class StateNorms:
    """The trained parameters and BatchNorm buffers of a model, and their norms.

    Args:
        parameters: name → where the parameter stands.
        means: name → where the running mean stands.
        variances: name → where the running variance stands.
    """

    parameters: dict[str, _Slot]
    means: dict[str, _Slot]
    variances: dict[str, _Slot]
    _before: Joined = field(default_factory=lambda: Joined.of(()), init=False)
    _last: tuple[_Written, Joined] | None = field(default=None, init=False)
    _spare: Joined | None = field(default=None, init=False)
    _samples: _Samples = field(default_factory=lambda: _Samples.of(()), init=False)
    _buffers: _Samples = field(default_factory=lambda: _Samples.of(()), init=False)

    @classmethod
    def of(cls, model: torch.nn.Module) -> StateNorms:
        """Of a model's trained parameters and the running statistics that it has."""
        buffers = [name for name, buffer in model.named_buffers() if buffer is not None]
        return cls(
            parameters={name: _slot(model, name) for name, p in model.named_parameters() if p.requires_grad},
            means={name: _slot(model, name) for name in buffers if name.endswith("running_mean")},
            variances={name: _slot(model, name) for name in buffers if name.endswith("running_var")},
        )

    def gradients(self, parameters: Iterable[torch.nn.Parameter]) -> BlockNorms:
        """The norm of all gradients that are there together: one value."""
        return joint_norm([gradient for p in parameters if (gradient := p.grad) is not None])

    def before_update(self) -> None:
        """Keep what the update's norm needs of the parameters.

        That is what ``sampled`` last saw, where nothing wrote to them since: their elements lie far apart, and reading
        them is the most that recording costs. PyTorch counts what is written to a tensor.
        """
        samples, written = self._sampled_now()
        if self._last is not None and written and self._last[0] == written:
            self._before = self._last[1]
        else:
            self._before = samples.gathered.joined()

    def sampled(self) -> tuple[BlockNorms, BlockNorms, Sequence[float]]:
        """Of the sampled elements: norms of the updates since ``before_update``, norms of the values, and the scales.

        Returns:
            For each parameter the norm of its update, the norm of its value, and what to scale their squares by.
        """
        samples, written = self._sampled_now()
        now = samples.gathered.joined(self._spare)
        self._last = (written, now)
        # What was before is gone with this, and its memory takes the next copy.
        updates = self._spare = self._before.taken_from(now)
        return updates.norms(), now.norms(), samples.scales

    def _sampled_now(self) -> tuple[_Samples, _Written]:
        """The samples as the parameters are now, and what tells that nothing was written since."""
        parameters = [slot.tensor for slot in self.parameters.values()]
        known = self._samples
        if not known.of_the_same(parameters):
            olds = known.each or (None,) * len(parameters)
            new = (_sample(parameter, old) for parameter, old in zip(parameters, olds, strict=True))
            known, self._spare = _Samples.of(new), None
            self._samples = known
        if known.addresses is None:
            return known, ()
        return known, tuple(zip(known.addresses, [parameter._version for parameter in parameters], strict=True))

    def buffers(self) -> dict[str, torch.Tensor]:
        """The running means and variances as they are now, by names with their kinds as prefixes."""
        return dict(zip(self.buffer_names, self._buffers_now(), strict=True))

    @cached_property
    def buffer_names(self) -> tuple[str, ...]:
        """Of the running means and variances, with their kinds as prefixes."""
        return (*(f"mean/{name}" for name in self.means), *(f"var/{name}" for name in self.variances))

    def buffer_norms(self) -> BlockNorms:
        """Begin the norms of the running means and variances, in the order of ``buffer_names``.

        There are many of them, and small: they are laid out anew only where one has moved.
        """
        buffers = self._buffers_now()
        if not self._buffers.of_the_same(buffers):
            self._buffers = _Samples.of(_sample(buffer, None, whole=True) for buffer in buffers)
        return self._buffers.gathered.joined().norms()

    def _buffers_now(self) -> list[torch.Tensor]:
        return [slot.tensor for slot in (*self.means.values(), *self.variances.values())]

    def weights(self) -> dict[str, torch.Tensor]:
        """The parameters as they are now, by names with their kind as prefix."""
        return _now("param", self.parameters)


class HeldParameters:
    """Every parameter of a model once, in the order in which the model has them.

    A training may add and replace modules and parameters, so that it is asked at every step; what takes the time is
    walking the modules, which is done anew only where one of them holds others.

    Args:
        model: whose parameters are held.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._modules: list[torch.nn.Module] = []
        self._children: list[Any] = [None]
        self._standing: list[Any] = []
        self._held: list[torch.nn.Parameter] = []

    def now(self) -> list[torch.nn.Parameter]:
        """The parameters that stand in the model's modules."""
        if not _are_the_same(self._values(_CHILDREN), self._children):
            self._modules = list(self._model.modules())
            self._children = self._values(_CHILDREN)
        standing = self._values(_PARAMETERS)
        if not _are_the_same(standing, self._standing):
            self._standing = standing
            self._held = list({id(parameter): parameter for parameter in standing if parameter is not None}.values())
        return self._held

    def _values(self, what: attrgetter[Any]) -> list[Any]:
        return [*chain.from_iterable(map(_VALUES, map(what, self._modules)))]


def _are_the_same(these: Sequence[Any], those: Sequence[Any]) -> bool:
    return len(these) == len(those) and all(map(is_, these, those))


def _slot(model: torch.nn.Module, name: str) -> _Slot:
    path, _, key = name.rpartition(".")
    return _Slot(model.get_submodule(path), key)


def _now(kind: str, slots: dict[str, _Slot]) -> dict[str, torch.Tensor]:
    return {f"{kind}/{name}": slot.tensor for name, slot in slots.items()}


@torch.no_grad()
def _sample(tensor: torch.Tensor, old: _Sample | None, *, whole: bool = False) -> _Sample:
    """Evenly spaced rows of elements in the order of the indices, whatever the memory format.

    Args:
        tensor: to sample.
        old: its sample so far, which is its sample still where it is a view of the same memory.
        whole: whether every element is wanted.
    """
    if old is not None and old.address is not None and old.address == tensor.data_ptr():
        return old
    flat = tensor.detach().reshape(-1)
    elements = flat if whole else _rows(flat)
    # Where a device's pointers tell nothing, as XLA's, a view may be of old values.
    address = tensor.data_ptr() if type_of_kind(tensor.device.type).has_pointers else 0
    is_view = address != 0 and elements.data_ptr() == address
    scale = flat.numel() / elements.numel() if elements.numel() else 0.0
    return _Sample(address if is_view else None, elements, scale)


def _rows(flat: torch.Tensor) -> torch.Tensor:
    """Every s-th row of elements (r, ROW), in whole blocks; all elements (n,) of a tensor that is small."""
    elements = flat.numel()
    step = largest_step(elements, elements // SAMPLED_ELEMENTS)
    if step == 1:
        return flat
    rows = flat[: elements - elements % ROW].view(-1, ROW)[::step]
    return rows[: len(rows) - len(rows) % (BLOCK // ROW)]
