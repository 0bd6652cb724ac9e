"""Restarts: a run begins anew on its way, from start weights, so that rounding begins to grow anew.

Rounding grows until two healthy runs part, and from there on no rule sees anything. What sees are the first iterations
after start weights; a run that is started anew has more of them. Its batches, its schedule and the numbers of its
iterations go on: it is one run with one trace.

What a restart leaves as it is, as what a model keeps in attributes of its own, only keeps its rounding: both sides are
started anew alike, and how far healthy runs part is measured on runs that are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch

from harness.training.seam import Trained

__all__ = ["Restarts", "counted_in_pieces", "piece_seed"]

_SEED_STRIDE = 7_919
"""A prime, so that the start weights of a piece are none of a piece of the next seeds' cases."""


def piece_seed(seed: int, piece: int) -> int:
    """The seed of a piece's generated start weights: the case's own for the first.

    Args:
        seed: of the case.
        piece: its number, from 0.
    """
    return seed + piece * _SEED_STRIDE


def counted_in_pieces(counts: Iterable[int], piece_starts: Sequence[int], planned: int) -> Iterator[int]:
    """The iterations that are some counts past the start of their piece.

    Args:
        counts: iterations from the start of a piece on, 0 for the first.
        piece_starts: the iterations at which a run begins, and begins anew.
        planned: iterations of the run.
    """
    ends = [*piece_starts[1:], planned]
    wanted = list(counts)
    for start, end in zip(piece_starts, ends, strict=True):
        yield from (start + count for count in wanted if start + count < end)


class Restarts:
    """An observer that starts a training anew at the start of each piece but the first, before others see it.

    Every tensor of the model and the optimizers' state return to what they were before the first iteration; then start
    weights are generated from the piece's own seed, of what the case has generated. Gradients that were accumulated are
    dropped.

    Args:
        starts: the iterations at which a piece begins, 0 first.
        draw: generates a model's start weights of a piece, by its number, in place; it leaves given weights.
    """

    def __init__(self, starts: Sequence[int], draw: Callable[[torch.nn.Module, int], None]) -> None:
        self._pieces = {start: piece for piece, start in enumerate(starts) if piece}
        self._draw = draw

    def begin(self, training: Trained) -> None:
        """Keep what a restart returns to, the tensors on the host; nothing for a run of one piece."""
        if not self._pieces:
            return
        with torch.no_grad():
            self._tensors = {name: tensor.detach().cpu().clone() for name, tensor in _tensors(training.model)}
            self._states = [_copied(optimizer) for optimizer in training.optimizers]
        self._put_back = training.remember()

    def before(self, training: Trained, iteration: int, batch: Any) -> None:
        """Start anew where a piece begins."""
        if (piece := self._pieces.get(iteration)) is None:
            return
        with torch.no_grad():
            for name, tensor in _tensors(training.model):
                self._return(training.model, name, tensor)
            for parameter in training.model.parameters():
                parameter.grad = None
            for optimizer, state in zip(training.optimizers, self._states, strict=True):
                optimizer.state.clear()
                optimizer.state.update({parameter: copy.deepcopy(kept) for parameter, kept in state.items()})
            self._put_back()
            self._draw(training.model, piece)

    def after(self, training: Trained, iteration: int, batch: Any, returned: Any) -> None:
        """Nothing: a piece ends where the next begins."""

    def abandon(self) -> None:
        """Nothing: the run ends."""

    def end(self) -> None:
        """Nothing is held."""

    def _return(self, model: torch.nn.Module, name: str, tensor: torch.Tensor) -> None:
        """A tensor of the model as it was; one that training has replaced by another shape is put back whole."""
        kept = self._tensors.get(name)
        if kept is None:
            return
        if kept.shape == tensor.shape:
            tensor.copy_(kept)
            return
        path, _, own = name.rpartition(".")
        setattr(model.get_submodule(path), own, kept.to(tensor.device, copy=True))


def _tensors(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and buffers, those that no state dict holds too."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def _copied(optimizer: torch.optim.Optimizer) -> dict[Any, Any]:
    """An optimizer's state by parameter: some have one before their first step."""
    return {parameter: copy.deepcopy(state) for parameter, state in optimizer.state.items()}
