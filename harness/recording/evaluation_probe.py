"""What the model answers in evaluation mode, asked at a few iterations of a run without changing it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from harness.recording.host_draws import HostDraws
from harness.recording.reductions import fetch
from harness.recording.restarts import counted_in_pieces
from harness.training.seam import Trained
from harness.values.trace import EVALUATED_LOSS, EVALUATED_PIXELS

__all__ = ["EvaluationProbe", "add_up", "evaluated_iterations"]

_EARLY = 8
"""The iteration after which a training has begun to part the classes, and rounding has hardly grown yet."""


def evaluated_iterations(planned: int, piece_starts: Sequence[int] = (0,)) -> frozenset[int]:
    """The iterations after which the model is evaluated: the first and the ninth of each piece, and the last.

    The first shows the start weights on the running statistics of one batch; the last what the run leaves to its users.
    An evaluation takes 0.4 of a training step (``benchmarks/recording_cost.py``), so that three of them cost a run of
    30 iterations 4 %.

    Args:
        planned: iterations of the run.
        piece_starts: the iterations at which it begins, and begins anew.
    """
    return frozenset({planned - 1, *counted_in_pieces((0, _EARLY), piece_starts, planned)})


class EvaluationProbe:
    """Asks for the losses and confusion matrices of the run's first batch, with the model in evaluation mode.

    The first batch is one that both sides have seen alike, since their digests are compared. Nothing of the run is
    changed: no gradient is kept, evaluation mode leaves BatchNorm's running statistics as they are, and every module
    returns to the mode that it had.

    Args:
        planned: how many iterations the run has.
        around: makes what is entered around the model's answer, for example a rounding; called with the iteration.
        copies: whether the batch is kept as a copy: a loop of anybody's may change its batches.
        piece_starts: the iterations at which the run begins, and begins anew.
    """

    def __init__(
        self,
        planned: int,
        around: Callable[[int], AbstractContextManager[Any]] | None = None,
        *,
        copies: bool = False,
        piece_starts: Sequence[int] = (0,),
    ) -> None:
        self._copies = copies
        self._iterations = evaluated_iterations(planned, piece_starts)
        self._around = around
        self._batch: Any = None
        self._silent = False

    def keep(self, batch: Any) -> None:
        """Take the batch of the run's first iteration; later ones are left."""
        if self._batch is None:
            self._batch = copy.deepcopy(batch) if self._copies else batch

    def ask(self, training: Trained, iteration: int) -> dict[str, float] | None:
        """The model's answer, where this iteration is one to ask at; else None.

        A model that ends in an error when it is asked isn't asked again, and the reason is printed: no run ends by it.
        Where the reference's did answer, the candidate's missing answers are judged.

        Args:
            training: whose model is asked, at the numerics that it trains at.
            iteration: that has just ended.

        Returns:
            ``loss/<name>`` → loss, ``pixels/<head>/<label>/<class>`` → pixels.
        """
        if iteration not in self._iterations or self._silent:
            return None
        around = self._around(iteration) if self._around is not None else nullcontext()
        try:
            with _evaluating(training.model), torch.no_grad(), _drawing_alike(iteration), around:
                answers = training.evaluate(self._batch)
        except Exception as failure:  # noqa: BLE001  # a model of anybody's: anything can come out of it
            self._silent = True
            print(f"not asked in evaluation mode: the model ends in {type(failure).__name__}: {failure}", flush=True)
            return None
        if answers is None:
            self._silent = True
            return None
        losses = {
            f"{EVALUATED_LOSS}{name}": value
            for name, value in answers.items()
            if "loss" in name and isinstance(value, torch.Tensor) and value.numel() == 1
        }
        cells = dict(_cells({name: value for name, value in answers.items() if name.endswith(".confusion")}))
        (values,) = fetch(list(losses.values()))
        return {**dict(zip(losses, values, strict=True)), **cells}


def add_up(answers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The answers of several processes as one: losses averaged over those that have them, pixels added."""
    told: dict[str, list[float]] = {}
    for answer in answers:
        for name, value in answer.items():
            told.setdefault(name, []).append(value)
    return {
        name: sum(values) / len(values) if name.startswith(EVALUATED_LOSS) else sum(values)
        for name, values in told.items()
    }


def _cells(confusions: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, float]]:
    for name, confusion in confusions.items():
        for label, row in enumerate(confusion.tolist()):
            for answered, pixels in enumerate(row):
                yield f"{EVALUATED_PIXELS}{name.removesuffix('.confusion')}/{label}/{answered}", float(pixels)


@contextmanager
def _drawing_alike(iteration: int) -> Iterator[None]:
    """What a model draws in evaluation mode, as points at random, is equal on every device; the run's draws go on."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(iteration)
    try:
        with HostDraws():
            yield
    finally:
        torch.set_rng_state(state)


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Every module in evaluation mode, and afterwards in the mode that it had: some are frozen in it."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
