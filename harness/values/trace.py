"""A loss trace: what one run did, iteration by iteration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from harness.values.errors import TraceError

__all__ = [
    "DEVICE_DRAWS",
    "EVALUATED_LOSS",
    "EVALUATED_PIXELS",
    "HOST_DRAWS",
    "PIECE",
    "BoolArray",
    "FloatArray",
    "IntArray",
    "StateTable",
    "Trace",
]

DEVICE_DRAWS = "device_draws"

HOST_DRAWS = "host_draws"
"""The signal that is 1 where an iteration drew from the device's own generator, else 0."""

PIECE = "piece"
"""The signal that numbers the pieces of a run that was started anew on its way; a run of one piece has none."""

EVALUATED_LOSS = "loss/"
"""Prefix of a loss among what the model answers in evaluation mode."""

EVALUATED_PIXELS = "pixels/"
"""Prefix of a cell of a confusion matrix there."""

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StateTable:
    """Numbers that describe the training state, at a few iterations.

    Names carry their kind as a prefix. Of the tensors' Euclidean norms: ``param/`` (parameter), ``mean/`` and ``var/``
    (BatchNorm's running statistics); of each of several processes ``gradient/rank <n>``, its gradients before they are
    averaged. Of what the model answers in evaluation mode: ``loss/`` (a weighted component) and
    ``pixels/<head>/<label>/<class>`` (how many pixels of a label are given a class, a cell of the confusion matrix).

    Args:
        iterations: (S,) strictly increasing.
        names: P names.
        values: (S, P) numbers.
        missing: (S, P) True where a name has no number: the run didn't say one there, which is something else than NaN.
            None where it said all.

    Raises:
        TraceError: the shapes contradict each other, or the iterations do not increase.
    """

    iterations: IntArray
    names: tuple[str, ...]
    values: FloatArray
    missing: BoolArray | None = None

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.iterations), len(self.names)):
            raise TraceError(
                "the state table's values do not fit its iterations and names",
                observed=self.values.shape,
                allowed=(len(self.iterations), len(self.names)),
            )
        if self.missing is not None and (
            self.missing.shape != self.values.shape or not np.isnan(self.values[self.missing]).all()
        ):
            raise TraceError("the gaps of the state table do not fit its values", observed=self.missing.shape)
        _require_increasing(self.iterations, "the state table")
        if len(set(self.names)) != len(self.names):
            raise TraceError("the state table names a tensor twice", observed=_first_twice(self.names))

    @classmethod
    def empty(cls) -> StateTable:
        """A table without an iteration: the run recorded none of it."""
        return cls(np.empty(0, np.int64), (), np.empty((0, 0)))

    def head(self, iterations: int) -> StateTable:
        """The rows before iteration number ``iterations``."""
        keep = self.iterations < iterations
        gaps = None if self.missing is None or not self.missing[keep].any() else self.missing[keep]
        return StateTable(self.iterations[keep], self.names, self.values[keep], gaps)

    @property
    def told(self) -> BoolArray:
        """(S, P) where the run said a number, NaN included."""
        return np.ones(self.values.shape, bool) if self.missing is None else ~self.missing

    def values_under(self, other: StateTable) -> FloatArray:
        """(S, P) this table's values under another's S iterations and P names, NaN where it has none."""
        if self.names == other.names and np.array_equal(self.iterations, other.iterations):
            return self.values
        values = np.full(other.values.shape, np.nan)
        rows = {int(iteration): row for row, iteration in enumerate(self.iterations)}
        columns = {name: column for column, name in enumerate(self.names)}
        found_rows = [(row, rows[int(i)]) for row, i in enumerate(other.iterations) if int(i) in rows]
        found_columns = [(column, columns[name]) for column, name in enumerate(other.names) if name in columns]
        if found_rows and found_columns:
            to_row, from_row = (np.array(side) for side in zip(*found_rows, strict=True))
            to_column, from_column = (np.array(side) for side in zip(*found_columns, strict=True))
            values[np.ix_(to_row, to_column)] = self.values[np.ix_(from_row, from_column)]
        return values

    def values_due(self, other: StateTable, reached: int) -> FloatArray:
        """(s, P) the same of the rows that are due in a run that has reached iteration number ``reached``."""
        return self.values_under(other)[: int(np.searchsorted(other.iterations, reached))]


@dataclass(frozen=True, eq=False)
class Trace:
    """The per-iteration values of one run.

    A NaN is a value that the run produced; where it produced none, ``missing`` says so. A loss component may begin late
    or end early: it is kept as what it is, and no rule takes its gaps for values.

    Args:
        iterations: (T,) iteration numbers from 0, strictly increasing.
        signals: name → (T,) values. ``loss`` is the total; ``*.loss_*`` its weighted components; ``*.acc_*`` accuracies
            in per cent; ``lr`` the learning rate; ``grad_norm``, ``param_norm``, ``update_norm``, ``bn_mean_norm`` and
            ``bn_var_norm`` Euclidean norms over all tensors; ``seconds`` and ``memory`` (MiB) of the iteration;
            ``device_draws`` 1 where the iteration drew from the generator of a device other than the host, else 0;
            ``host_draws`` what the host's generator would draw next, in [0, 1): equal where as much was drawn;
            ``piece`` the number of the piece that the iteration is of, in a run that was started anew on its way.
            Parameter groups that have had one rate at every iteration share a name; ``lr.1`` … are the others'.
        batches: T digests of the batches, empty strings where unknown; or () where none was recorded.
        state: per-tensor norms at a few iterations.
        evaluation: losses and confusion matrices of a fixed batch in evaluation mode, at a few iterations.
        planned: how many iterations the run was to have.
        complete: whether the run said itself that it reached its end.
        missing: name → (T,) True where the signal has no value; its number there is a NaN that means nothing. Signals
            without a gap are not in it.

    Raises:
        TraceError: shapes contradict each other, the iterations do not increase, or there is no ``loss``, at every
            iteration.
    """

    iterations: IntArray
    signals: Mapping[str, FloatArray]
    planned: int
    complete: bool
    batches: tuple[str, ...] = ()
    state: StateTable = field(default_factory=StateTable.empty)
    evaluation: StateTable = field(default_factory=StateTable.empty)
    missing: Mapping[str, BoolArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_increasing(self.iterations, "the trace")
        if "loss" not in self.signals:
            raise TraceError("the trace has no loss", observed=sorted(self.signals), allowed="a signal named loss")
        for name, values in self.signals.items():
            if values.shape != self.iterations.shape:
                raise TraceError(
                    "a signal has another length than the trace",
                    where=name,
                    observed=values.shape,
                    allowed=self.iterations.shape,
                )
        if self.batches and len(self.batches) != len(self.iterations):
            raise TraceError(
                "the batch digests do not fit the trace", observed=len(self.batches), allowed=len(self.iterations)
            )
        for name, gaps in self.missing.items():
            self._require_gaps(name, gaps)

    def _require_gaps(self, name: str, gaps: BoolArray) -> None:
        values = self.signals.get(name)
        if values is None or gaps.shape != values.shape or not gaps.any() or not np.isnan(values[gaps]).all():
            raise TraceError("the gaps of a signal do not fit its values", where=name, observed=gaps.shape)
        if name == "loss":
            at = int(self.iterations[np.argmax(gaps)])
            raise TraceError("an iteration has no loss", where=f"iteration {at}", allowed="a loss at every iteration")

    def __len__(self) -> int:
        return len(self.iterations)

    @property
    def reached(self) -> int:
        """The number of the iteration that would follow."""
        return int(self.iterations[-1]) + 1 if len(self) else 0

    @property
    def piece_starts(self) -> IntArray:
        """The places at which a piece of the run begins, each from start weights; 0 is the first."""
        if PIECE not in self.signals:
            return np.zeros(min(1, len(self)), np.int64)
        return np.flatnonzero(np.diff(self.signals[PIECE], prepend=np.nan) != 0)

    @property
    def loss(self) -> FloatArray:
        """(T,) total loss."""
        return self.signals["loss"]

    def has_value(self, name: str) -> BoolArray:
        """(T,) where the run produced a value of a signal, NaN included: nowhere for one that it didn't record."""
        if name not in self.signals:
            return np.zeros(len(self), bool)
        gaps = self.missing.get(name)
        return np.ones(len(self), bool) if gaps is None else ~gaps

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the loss's weighted components, in recorded order."""
        return tuple(name for name in self.signals if name.rpartition(".")[2].startswith("loss_"))

    def head(self, iterations: int) -> Trace:
        """The part before iteration number ``iterations``; complete where the trace reaches that far.

        A signal that has no value in it is none of that part's.
        """
        if iterations >= self.planned:
            return self
        keep = self.iterations < iterations
        kept = int(keep.sum())
        none = {name for name, gaps in self.missing.items() if gaps[keep].all()} - {"loss"}
        return Trace(
            iterations=self.iterations[keep],
            signals={name: values[keep] for name, values in self.signals.items() if name not in none},
            planned=iterations,
            complete=kept == iterations,
            batches=self.batches[:kept],
            state=self.state.head(iterations),
            evaluation=self.evaluation.head(iterations),
            missing={n: gaps[keep] for n, gaps in self.missing.items() if n not in none and gaps[keep].any()},
        )


def _require_increasing(iterations: IntArray, what: str) -> None:
    steps = np.diff(iterations)
    if iterations.ndim != 1 or np.any(steps <= 0):
        at = int(np.argmax(steps <= 0)) if iterations.ndim == 1 else 0
        raise TraceError(
            f"the iterations of {what} do not increase",
            observed=iterations[at : at + 2].tolist() if iterations.ndim == 1 else iterations.shape,
            allowed="strictly increasing numbers",
        )


def _first_twice(names: tuple[str, ...]) -> str:
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # add returns None on purpose
