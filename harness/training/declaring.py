"""How a user's own training is declared: what it is made of, and the decorator that makes a case of a function.

import harness

@harness.case(iterations=30)
def mnist(device):
model = Net().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

def step(batch):
images, labels = (part.to(device) for part in batch)
loss = F.cross_entropy(model(images), labels)
optimizer.zero_grad()
loss.backward()
optimizer.step()
return {"loss": loss}

return harness.Training(model, optimizer, batches=loader, step=step)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

__all__ = ["CASE_MARK", "Training", "case"]

CASE_MARK = "__alignment_case__"
"""The attribute of a function that ``case`` has declared: its settings."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Training:
    """A training with a loop of its own.

    Args:
        model: what is trained, on the device; of several modules, as a generator and a discriminator, name → module.
        optimizers: one, several, or name → optimizer. All their parameters are the model's.
        batches: what the step is called with, one after another. One that can be iterated again begins anew where it
            ends, as an epoch does; an iterator has to last.
        step: takes a batch, trains on it, and returns what it logs: a loss, or name → number, which may be nested. A
            total is named ``loss``; without one it is the sum of all whose name holds ``loss``.
        evaluate: takes a batch and answers, in evaluation mode and without gradients, with losses as ``step`` does; it
            is asked after a few iterations with the run's first batch. None where that isn't to be compared.
        settings: what must be equal for two runs to be the same experiment, beside the optimizers' own settings, which
            are read: name → a plain value.
    """

    model: torch.nn.Module | Mapping[str, torch.nn.Module]
    optimizers: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | Mapping[str, torch.optim.Optimizer]
    batches: Iterable[Any]
    step: Callable[[Any], Any]
    evaluate: Callable[[Any], Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def case(
    *,
    iterations: int = 30,
    repeats: int = 8,
    seed: int = 0,
    tier: str = "tf32",
    tiers: Sequence[str] = ("fp32", "tf32"),
    reference: str = "",
    summary: str = "",
    start: Mapping[str, float] | None = None,
    restarts: int = 1,
) -> Callable[[_Function], _Function]:
    """Declare that a function of a ``torch.device`` returns the ``Training`` of a case.

    `align` reads the settings without running the file, so they are plain values, or names of such at the file's top.

    Args:
        iterations: how many a run has.
        repeats: how many healthy runs of the reference a baseline holds, a tier.
        seed: of Python's, NumPy's and PyTorch's generators before the function is called, and of each iteration.
        tier: the precision tier that the gate demands of a candidate.
        tiers: the tiers that a baseline holds an ensemble of, tightest first.
        reference: which of the case's baselines a candidate is judged against; the only one that is there where empty.
        summary: one line for lists.
        start: settings of generated start weights (``harness.recording.start_weights``), which replace the model's
            own, ``{}`` for their defaults; None keeps what the function gives.
        restarts: how many pieces of equal length a run consists of, each from start weights: generated ones from a seed
            of their own, or those that the function gave. Batches, schedules and what the step keeps for itself go on.
    """
    settings = {name: value for name, value in locals().items() if value is not None}

    def declare(function: _Function) -> _Function:
        setattr(function, CASE_MARK, settings)
        return function

    return declare
