"""A log: what a foreign training log says, once its format no longer matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.values.errors import LogError
from harness.values.trace import FloatArray, IntArray

__all__ = ["Log", "Series"]


@dataclass(frozen=True, eq=False)
class Series:
    """One metric of one rank.

    Args:
        iterations: (T,) strictly increasing, as the log numbers them.
        values: (T,) NaN and infinities are values.

    Raises:
        LogError: the shapes contradict each other, or the iterations do not increase.
    """

    iterations: IntArray
    values: FloatArray

    def __post_init__(self) -> None:
        if self.iterations.ndim != 1 or self.iterations.shape != self.values.shape:
            raise LogError(
                "a series has not one value an iteration", observed=(self.iterations.shape, self.values.shape)
            )
        if np.any(np.diff(self.iterations) <= 0):
            raise LogError("the iterations of a series do not increase", allowed="strictly increasing numbers")

    def __len__(self) -> int:
        return len(self.iterations)


@dataclass(frozen=True, eq=False)
class Log:
    """A training log, read.

    Args:
        path: where it lies, for messages.
        format: the format that it was found to have, in words.
        metric: the metric that was asked for, by the name that the log gives it.
        rank: whose values ``series`` are: a rank's number, or ``mean`` over all ranks.
        series: the metric's values.
        ranks: rank → its values of the same metric; {0: …} where the log names no rank.
        metrics: the names of all metrics found.
        settings: what the log says about its run: ``seed``, ``world size``, ``batch size``, ``precision``, ``torch`` …
        decisions: what was decided while reading, a sentence each: nothing is dropped without one.
        numbered: whether the log prints iteration numbers; else records were numbered in their order.
        window: over how many iterations each printed value is a mean; 1 for the iteration's own.
        guessed: whether the format is none that is known.
        losses: the other losses that the log holds.
        lacking: iterations that the log prints without the metric → what it says in its place.
        by_epoch: whether the numbers are those of epochs.
        epoch_length: iterations of an epoch, where they are numbered from each one's start; 0 for none.
        epoch_length_printed: whether the log says so; else its largest iteration was taken.
        first_epoch: the number of the first epoch, where epochs were numbered through.
        clock: the first date and time that the log prints; empty for none.
        head: a digest of the text's first part, which copies of a log share however they are packed.
    """

    path: str
    format: str
    metric: str
    rank: int | str
    series: Series
    ranks: Mapping[int, Series]
    metrics: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    decisions: tuple[str, ...] = ()
    numbered: bool = True
    window: int = 1
    guessed: bool = False
    losses: tuple[str, ...] = ()
    lacking: Mapping[int, str] = field(default_factory=dict)
    by_epoch: bool = False
    epoch_length: int = 0
    epoch_length_printed: bool = True
    first_epoch: int = 0
    clock: str = ""
    head: str = ""

    def __len__(self) -> int:
        return len(self.series)

    @property
    def said(self) -> str:
        """What was read, in one line: format, metric and the other losses, records, iterations, ranks."""
        also = f" (also: {', '.join(self.losses[:6])}{', …' if len(self.losses) > 6 else ''})" if self.losses else ""
        unit = "epochs" if self.by_epoch else "iterations" if self.numbered else "positions"
        parts = [
            _file_name(self.path),
            self.format,
            f"{self.metric}{also}",
            f"{len(self):,} records, {unit} {self.iterations[0]} … {self.iterations[-1]}",
        ]
        if len(self.ranks) > 1:
            parts.append(f"{'mean over' if self.rank == 'mean' else f'rank {self.rank} of'} {len(self.ranks)} ranks")
        if self.lacking:
            parts.append(f"{len(self.lacking):,} iterations without {self.metric}")
        return " · ".join(parts)

    @property
    def iterations(self) -> IntArray:
        """(T,) iteration numbers of ``series``."""
        return self.series.iterations

    @property
    def values(self) -> FloatArray:
        """(T,) the metric's values."""
        return self.series.values


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").split("/")[-1] or path
