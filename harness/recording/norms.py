"""Which norms of the training state are recorded, cheap enough to take at every iteration.

What costs is reading memory: the gradients are read whole at every iteration and the parameters at a few; in between,
the norms of parameters and updates are estimated from evenly spaced rows of each tensor's elements, the same ones on
every device. Elements that lie alone would have a processor read all that lies between them, too. How a norm is
computed stands in ``harness.recording.reductions``, and what stands in a model in ``harness.recording.standing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

import torch

from harness.devices.device_registry import type_of_kind
from harness.recording.reductions import BlockNorms, Gathered, Joined, joint_norm
from harness.recording.standing import Standing, are_the_same
from harness.values.sampling import ROW, SAMPLED_ELEMENTS, largest_step

__all__ = ["StateNorms"]

_KINDS = {"running_mean": "mean", "running_var": "var"}
"""What the last part of a buffer's name says that it is; BatchNorm's running statistics."""

_ASKED = tuple(map(methodcaller, ("data_ptr", "numel", "stride")))
"""A tensor's address, the number of its elements and its strides tell where its elements lie."""

_Places = list[list[Any]]
"""For each of what is asked the answers of some tensors: Python's own loop over them would take most of the time."""


@dataclass(frozen=True)
class _Sample:
    """The sampled elements of a tensor.

    Args:
        elements: some of the tensor's.
        is_view: whether they are the tensor's own; else a copy.
        scale: by what the square of their norm is an estimate of the tensor's.
    """

    elements: torch.Tensor
    is_view: bool
    scale: float


@dataclass(frozen=True)
class _Samples:
    """The samples of some tensors, which are laid out anew only where one of them lies elsewhere.

    Args:
        places: of the tensors; None where a sample is a copy, so that nothing tells how old it is.
        gathered: the sampled elements.
        scales: one a tensor.
    """

    places: _Places | None
    gathered: Gathered
    scales: tuple[float, ...]

    @classmethod
    def of(cls, tensors: Sequence[torch.Tensor], *, whole: bool = False) -> _Samples:
        """Of the tensors as they are now; of whole ones every element."""
        samples = [_sample(tensor, whole=whole) for tensor in tensors]
        return cls(
            places=_places(tensors) if all(sample.is_view for sample in samples) else None,
            gathered=Gathered.of([sample.elements for sample in samples]),
            scales=tuple(sample.scale for sample in samples),
        )

    def of_the_same(self, tensors: Sequence[torch.Tensor]) -> bool:
        """Whether the elements are those of these tensors as they are now."""
        # A device of which no sample is a view may have no pointers to ask for.
        return self.places is not None and self.places == _places(tensors)


class StateNorms:
    """The norms of a model's parameters, of their updates, and of its BatchNorm statistics.

    Totals are of what is trained now. Norms of single tensors are of those that were there in the beginning, so that a
    run's rows have the same names, but for a tensor that the training takes out.

    Args:
        model: as it trains.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._standing = Standing(model)
        self._standing.look()
        self._names = tuple(self._standing.trained)
        self._buffer_names = {
            name: f"{_KINDS[last]}/{name}"
            for name, buffer in self._standing.buffers.items()
            if (last := name.rpartition(".")[2]) in _KINDS and buffer.is_floating_point()
        }
        self._samples = self._statistics = _Samples.of([])
        self._before = self._samples.gathered.joined()
        self._before_of: list[torch.nn.Parameter] = []
        self._spare: Joined | None = None

    def held(self) -> list[torch.nn.Parameter]:
        """Every parameter once that stands in the model now."""
        self._standing.look()
        return self._standing.held

    def gradients(self, parameters: Iterable[torch.nn.Parameter]) -> BlockNorms:
        """The norm of all gradients that are there together: one value."""
        return joint_norm([gradient for p in parameters if (gradient := p.grad) is not None])

    def start_here(self) -> None:
        """Let the next update be from what the parameters are now."""
        self._before = self._sampled_now().gathered.joined()
        self._before_of = list(self._standing.trained.values())

    def follow(self) -> None:
        """Start here where other parameters are trained than the last time: a layer was added, replaced or unfrozen."""
        self._standing.look()
        if not are_the_same(list(self._standing.trained.values()), self._before_of):
            self.start_here()

    def sampled(self) -> tuple[BlockNorms | None, BlockNorms, Sequence[float]]:
        """Of the sampled elements: norms of what they changed since the last time, norms of the values, and the scales.

        What a training writes between two iterations belongs to the later one's update. So nothing need tell whether it
        has written: PyTorch counts no writes through ``p.data``, of fused optimizers, and on some devices of any.

        Returns:
            For each parameter the norm of its update, the norm of its value, and what to scale their squares by. No
            updates where what is trained has become other tensors, or of other sizes.
        """
        samples = self._sampled_now()
        now = samples.gathered.joined(self._spare)
        trained = list(self._standing.trained.values())
        alike = are_the_same(trained, self._before_of) and samples.gathered.is_layout_of(self._before)
        updates = self._before.overwritten_by_change_to(now) if alike else None
        self._before, self._before_of, self._spare = now, trained, updates
        return updates.norms() if updates is not None else None, now.norms(), samples.scales

    def _sampled_now(self) -> _Samples:
        """The samples of what is trained now."""
        self._standing.look()
        parameters: list[torch.Tensor] = list(self._standing.trained.values())
        known = self._samples
        if not known.of_the_same(parameters):
            parameters = [parameter for parameter in parameters if _has_memory(parameter)]
            known = self._samples = _Samples.of(parameters)
        return known

    def weights(self) -> dict[str, torch.Tensor]:
        """The parameters as they were last looked at, by names with their kind as prefix."""
        named = self._standing.parameters
        return {f"param/{name}": named[name] for name in self._names if name in named and _has_memory(named[name])}

    def sampled_whole(self) -> dict[str, int]:
        """Name, with its kind as prefix → the place in what ``sampled`` gave, of a parameter that was sampled whole."""
        names = [name for name, parameter in self._standing.trained.items() if _has_memory(parameter)]
        pairs = enumerate(zip(names, self._samples.scales, strict=True))
        return {f"param/{name}": place for place, (name, scale) in pairs if scale in {0.0, 1.0}}

    def buffers(self) -> dict[str, torch.Tensor]:
        """The running means and variances as they were last looked at, by names with their kinds as prefixes."""
        there = self._standing.buffers
        return {told: there[name] for name, told in self._buffer_names.items() if name in there}

    def buffer_norms(self) -> BlockNorms:
        """Begin the norms of the running means and variances, in the order of ``buffers``.

        There are many of them, and small: they are laid out anew only where one has moved.
        """
        buffers = list(self.buffers().values())
        if not self._statistics.of_the_same(buffers):
            self._statistics = _Samples.of(buffers, whole=True)
        return self._statistics.gathered.joined().norms()


def _places(tensors: Sequence[torch.Tensor]) -> _Places:
    return [list(map(asked, tensors)) for asked in _ASKED]


def _has_memory(tensor: torch.Tensor) -> bool:
    """Not where its elements have been let go of, as sharded training does between two uses."""
    return not type_of_kind(tensor.device.type).has_pointers or not tensor.numel() or tensor.data_ptr() != 0


@torch.no_grad()
def _sample(tensor: torch.Tensor, *, whole: bool = False) -> _Sample:
    """Every s-th row of a tensor's elements (r, ROW), in the order of the indices, whatever the memory format.

    All elements (n,) are taken of a tensor that is small, or whose size has a factor in common with every step.

    Args:
        tensor: to sample.
        whole: whether every element is wanted.
    """
    flat = tensor.detach().reshape(-1)
    elements = flat if whole else _rows(flat)
    # Where a device's pointers tell nothing, as XLA's, a view may be of old values.
    is_view = type_of_kind(tensor.device.type).has_pointers and elements.data_ptr() == tensor.data_ptr()
    return _Sample(elements, is_view, flat.numel() / elements.numel() if elements.numel() else 0.0)


def _rows(flat: torch.Tensor) -> torch.Tensor:
    elements = flat.numel()
    step = largest_step(elements, elements // SAMPLED_ELEMENTS)
    return flat if step == 1 else flat[: elements - elements % ROW].view(-1, ROW)[::step]
