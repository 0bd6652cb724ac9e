"""Which norms of the training state are recorded, cheap enough to take at every iteration.

What costs is reading memory: the gradients are read whole at every iteration and the parameters at a few; in between,
the norms of parameters and updates are estimated from evenly spaced elements of each tensor, the same ones on every
device. How a norm is computed stands in ``harness.recording.reductions``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from harness.devices.device_registry import type_of_kind
from harness.recording.reductions import BlockNorms, Joined, block_norms

__all__ = ["SAMPLED_ELEMENTS", "StateNorms"]

SAMPLED_ELEMENTS = 4096
"""Elements of a tensor that its norm is estimated from; smaller tensors are read whole."""


@dataclass(frozen=True)
class _Slot:
    """Where a tensor of a model stands: what is there now is asked for each time, since a training may replace it."""

    module: torch.nn.Module
    key: str

    @property
    def tensor(self) -> torch.Tensor:
        held = self.module._parameters.get(self.key)
        found: torch.Tensor | None = held if held is not None else self.module._buffers.get(self.key)
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
    _last: tuple[list[tuple[int, int]], Joined] | None = field(default=None, init=False)
    _views: dict[str, _Sample] = field(default_factory=dict, init=False)

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
        """Norms of the gradients that are there, one a tensor."""
        return block_norms(p.grad for p in parameters if p.grad is not None)

    def before_update(self) -> None:
        """Keep what the update's norm needs of the parameters.

        That is what ``sampled`` last saw, where nothing wrote to them since: their elements lie far apart, and reading
        them is the most that recording costs. PyTorch counts what is written to a tensor.
        """
        samples, states = self._samples()
        if self._last is not None and states and self._last[0] == states:
            self._before = self._last[1]
        else:
            self._before = Joined.of([sample.elements for sample in samples])

    def sampled(self) -> tuple[BlockNorms, BlockNorms, list[float]]:
        """Of the sampled elements: norms of the updates since ``before_update``, norms of the values, and the scales.

        Returns:
            For each parameter the norm of its update, the norm of its value, and what to scale their squares by.
        """
        samples, states = self._samples()
        now = Joined.of([sample.elements for sample in samples])
        self._last = (states, now)
        return now.minus(self._before).norms(), now.norms(), [sample.scale for sample in samples]

    def _samples(self) -> tuple[list[_Sample], list[tuple[int, int]]]:
        """Of each parameter the sampled elements as they are now; a view is made once while its parameter stays.

        Returns:
            The samples; and what tells that nothing was written since, the address and version of each parameter, or
            nothing where that can't be told.
        """
        samples, states = [], []
        for name, slot in self.parameters.items():
            parameter = slot.tensor
            sample = self._views.get(name)
            if sample is None or sample.address is None or parameter.data_ptr() != sample.address:
                sample = self._views[name] = _sample(parameter)
            samples.append(sample)
            if sample.address is not None:
                states.append((sample.address, parameter._version))
        return samples, states if len(states) == len(samples) else []

    def buffers(self) -> dict[str, torch.Tensor]:
        """The running means and variances as they are now, by names with their kinds as prefixes."""
        return {**_now("mean", self.means), **_now("var", self.variances)}

    def weights(self) -> dict[str, torch.Tensor]:
        """The parameters as they are now, by names with their kind as prefix."""
        return _now("param", self.parameters)


def _slot(model: torch.nn.Module, name: str) -> _Slot:
    path, _, key = name.rpartition(".")
    return _Slot(model.get_submodule(path), key)


def _now(kind: str, slots: dict[str, _Slot]) -> dict[str, torch.Tensor]:
    return {f"{kind}/{name}": slot.tensor for name, slot in slots.items()}


@torch.no_grad()
def _sample(tensor: torch.Tensor) -> _Sample:
    """Evenly spaced elements in the order of the indices, whatever the memory format: (≤ 2 · SAMPLED_ELEMENTS,)."""
    flat = tensor.detach().reshape(-1)
    elements = flat[:: max(1, flat.numel() // SAMPLED_ELEMENTS)]
    # Where a device's pointers tell nothing, as XLA's, a view may be of old values.
    address = tensor.data_ptr() if type_of_kind(tensor.device.type).has_pointers else 0
    is_view = address != 0 and elements.data_ptr() == address
    scale = flat.numel() / elements.numel() if elements.numel() else 0.0
    return _Sample(address if is_view else None, elements, scale)
