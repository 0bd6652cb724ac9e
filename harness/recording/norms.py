"""Norms of the training state, cheap enough to take at every iteration.

Everything is computed on the device and fetched in one transfer. Reading all parameters once is what a norm of them
costs, so the gradient and parameter norms are exact; the update would need a copy of every parameter, so its norm is
estimated from evenly spaced elements of each tensor, the same ones on every device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

__all__ = ["SAMPLED_ELEMENTS", "StateNorms", "fetch"]

SAMPLED_ELEMENTS = 4096
"""Elements of a tensor that the update's norm is estimated from; smaller tensors are read whole."""


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
    values: list[float] = torch.stack([scalar.detach().reshape(()).to(dtype) for scalar in scalars]).tolist()
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
        self._before = [_sample(p).clone() for p in self.parameters.values()]

    def updates(self) -> tuple[list[torch.Tensor], list[float]]:
        """Norms of the sampled updates since ``before_update``, and what to scale their squares by."""
        now = [_sample(p) for p in self.parameters.values()]
        if not self._before:
            return [], []
        difference = torch._foreach_sub(now, self._before)
        scales = [p.numel() / sample.numel() for p, sample in zip(self.parameters.values(), now, strict=True)]
        return list(torch._foreach_norm(difference)), scales

    def tensors(self) -> tuple[list[str], list[torch.Tensor]]:
        """Names, with their kinds as prefixes, and norms of all parameters and buffers."""
        names: list[str] = []
        norms: list[torch.Tensor] = []
        for kind, group in (("param", self.parameters), ("mean", self.means), ("var", self.variances)):
            if group:
                names += [f"{kind}/{name}" for name in group]
                norms += torch._foreach_norm(list(group.values()))
        return names, norms


def total(norms: Sequence[float], scales: Sequence[float] | None = None) -> float:
    """The Euclidean norm of all tensors together, from the norms of each."""
    weights = scales if scales is not None else [1.0] * len(norms)
    return math.sqrt(math.fsum(weight * norm * norm for norm, weight in zip(norms, weights, strict=True)))


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    """Evenly spaced elements in the order of the indices, whatever the memory format: (≤ 2 · SAMPLED_ELEMENTS,)."""
    flat = tensor.reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLED_ELEMENTS)]
