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

    def __len__(self) -> int:
        return len(self.series)

    @property
    def iterations(self) -> IntArray:
        """(T,) iteration numbers of ``series``."""
        return self.series.iterations

    @property
    def values(self) -> FloatArray:
        """(T,) the metric's values."""
        return self.series.values
