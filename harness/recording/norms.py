"""Norms of the training state, cheap enough to take at every iteration.

Everything is computed on the device and fetched in one transfer. What costs is reading memory: the gradients are read
whole at every iteration and the parameters at a few; in between, the norms of parameters and updates are estimated from
evenly spaced elements of each tensor, the same ones on every device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

__all__ = ["SAMPLED_ELEMENTS", "StateNorms", "fetch"]

SAMPLED_ELEMENTS = 4096
"""Elements of a tensor that its norm is estimated from; smaller tensors are read whole."""


def fetch(scalars: Sequence[torch.Tensor]) -> list[float]:
    """The values of tensors without dimensions, in one transfer.

    Args:
        scalars: of one device.

    Returns:
        Their values, in order.
    """
    if not scalars:
        return []
    dtype = torch.float64 if any(scalar.dtype is torch.float64 for scalar in scalars) else torch.float32
    with torch.no_grad():
        alike = [s if s.dtype is dtype and not s.dim() else s.reshape(()).to(dtype) for s in scalars]
        values: list[float] = torch.stack(alike).tolist()
    return values


@dataclass
class StateNorms:
    """The parameters and BatchNorm buffers of a model, and their norms.

    Args:
        parameters: name → parameter that is trained.
        means: name → running mean.
        variances: name → running variance.
    """

    parameters: dict[str, torch.Tensor]
    means: dict[str, torch.Tensor]
    variances: dict[str, torch.Tensor]
    _before: list[torch.Tensor] = field(default_factory=list, init=False)
    _views: dict[str, torch.Tensor] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, model: torch.nn.Module) -> StateNorms:
        """Of a model's trained parameters and the running statistics that it has."""
        buffers = {name: buffer for name, buffer in model.named_buffers() if buffer is not None}
        return cls(
            parameters={name: p.detach() for name, p in model.named_parameters() if p.requires_grad},
            means={name: buffer for name, buffer in buffers.items() if name.endswith("running_mean")},
            variances={name: buffer for name, buffer in buffers.items() if name.endswith("running_var")},
        )

    def gradients(self, model: torch.nn.Module) -> list[torch.Tensor]:
        """Norms of the gradients that are there, one a tensor."""
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        return list(torch._foreach_norm(gradients)) if gradients else []

    def before_update(self) -> None:
        """Keep what the update's norm needs of the parameters."""
        samples = self._samples()
        self._before = list(torch._foreach_mul(samples, 1.0)) if samples else []  # copies, of all at once

    def sampled(self) -> tuple[list[torch.Tensor], list[torch.Tensor], list[float]]:
        """Of the sampled elements: norms of the updates since ``before_update``, norms of the values, and the scales.

        Returns:
            For each parameter the norm of its update, the norm of its value, and what to scale their squares by.
        """
        now = self._samples()
        scales = [p.numel() / sample.numel() for p, sample in zip(self.parameters.values(), now, strict=True)]
        difference = torch._foreach_sub(now, self._before)
        return list(torch._foreach_norm(difference)), list(torch._foreach_norm(now)), scales

    def _samples(self) -> list[torch.Tensor]:
        """Of each parameter the sampled elements as they are now; a view of them is made once."""
        return [self._sample_of(name, parameter) for name, parameter in self.parameters.items()]

    def _sample_of(self, name: str, parameter: torch.Tensor) -> torch.Tensor:
        view = self._views.get(name)
        if view is not None and view.data_ptr() == parameter.data_ptr():
            return view
        sample = _sample(parameter)
        if sample.data_ptr() == parameter.data_ptr():  # else it is a copy, and has to be made each time
            self._views[name] = sample
        return sample

    def buffers(self) -> dict[str, torch.Tensor]:
        """Norms of the running means and variances, by names with their kinds as prefixes."""
        return {**_norms("mean", self.means), **_norms("var", self.variances)}

    def weights(self) -> dict[str, torch.Tensor]:
        """Norms of the parameters, by names with their kind as prefix; reads all of them."""
        return _norms("param", self.parameters)


def total(norms: Sequence[float], scales: Sequence[float] | None = None) -> float:
    """The Euclidean norm of all tensors together, from the norms of each."""
    weights = scales if scales is not None else [1.0] * len(norms)
    return math.sqrt(math.fsum(weight * norm * norm for norm, weight in zip(norms, weights, strict=True)))


def _norms(kind: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    norms = torch._foreach_norm(list(tensors.values())) if tensors else ()
    return {f"{kind}/{name}": norm for name, norm in zip(tensors, norms, strict=True)}


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    """Evenly spaced elements in the order of the indices, whatever the memory format: (≤ 2 · SAMPLED_ELEMENTS,)."""
    flat = tensor.reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLED_ELEMENTS)]
