"""Whether a fault does anything in a case: measured beside its twin and beside what rounding does, by no rule.

A faulty run and its twin are the same program to the last bit but for the fault. Where every signal is equal to the bit
the fault has no effect. Else each gradient and update, sampled element by element, and each recorded signal is compared
with the twin's, and with how far runs with other rounding are from the twin at the same place; chaos makes both grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations

import numpy as np

from harness.lab.power.finished_run import FinishedRun
from harness.values.trace import FloatArray, StateTable, Trace

__all__ = ["CLEARLY", "Effect", "Extent", "measure_effect"]

CLEARLY = 2.0
"""A change of more than this many times the largest that rounding made is an effect."""

_COSTS = frozenset({"seconds", "memory"})

_RESOLUTION = 2.0**-22
"""Of a norm or a loss in float32: what rounding runs agree to by luck is known no better."""


class Extent(str, Enum):
    """How large an effect is."""

    NONE = "none"
    """Every recorded number, gradient and update is equal to the bit."""

    ROUNDING = "below rounding"
    """Nowhere clearly beyond what other rounding does."""

    CLEAR = "beyond rounding"
    """A signal, a gradient or an update changes by more than the tier's rounding changes it."""


@dataclass(frozen=True)
class Effect:
    """What a fault does.

    Args:
        extent: how much.
        times: largest change over the largest that rounding made at the same place; infinite where rounding makes none.
        iteration: where that is.
        what: the signal, or ``gradient`` or ``update`` of a parameter.
    """

    extent: Extent
    times: float = 0.0
    iteration: int | None = None
    what: str = ""


def measure_effect(
    faulty: FinishedRun, twin: FinishedRun, rounding: Sequence[FinishedRun], healthy: Sequence[Trace]
) -> Effect:
    """The effect of a fault, as far as its run goes.

    Args:
        faulty: the run with the fault.
        twin: the run without, complete.
        rounding: runs of the twin with other rounding, complete, at least one.
        healthy: the baseline's runs of the tier. A signal is one number, on which a few runs may agree by luck; the
            pairs of these say too how far rounding parts two.
    """
    changes = _signal_changes(faulty.trace, twin.trace, [record.trace for record in rounding], healthy)
    changes += _state_changes(faulty.trace, twin.trace)
    changes += _sampled_changes(faulty, rounding, _parameters(twin.trace))
    if all(largest == 0 for _, largest, _, _ in changes):
        return Effect(Extent.NONE if faulty.trace is not None else Extent.CLEAR)
    times, _, iteration, what = max(changes, key=lambda change: change[0])
    return Effect(Extent.CLEAR if times > CLEARLY else Extent.ROUNDING, times, iteration, what)


_Change = tuple[float, float, int, str]
"""Times rounding's, size, iteration, what."""


def _signal_changes(
    faulty: Trace | None, twin: Trace | None, rounding: Sequence[Trace | None], healthy: Sequence[Trace]
) -> list[_Change]:
    if faulty is None or twin is None:
        return []
    changes = []
    for name, reference in twin.signals.items():
        if name in _COSTS or name not in faulty.signals or ".acc_" in name:
            continue
        length = min(len(faulty), len(reference))
        change = _relative(faulty.signals[name][:length], reference[:length])
        alike = ~(faulty.has_value(name)[:length] | twin.has_value(name)[:length])
        change[alike] = 0.0  # neither has a value
        others = [run.signals[name][:length] for run in rounding if run is not None and len(run) >= length]
        noise = [_relative(other, reference[:length]) for other in others]
        known = [run.signals[name][:length] for run in healthy if name in run.signals and len(run) >= length]
        noise += [_relative(one, other) for one, other in combinations(known, 2)]
        changes.append(_largest(change[:, None], [each[:, None] for each in noise], name, _RESOLUTION))
    return changes


def _state_changes(faulty: Trace | None, twin: Trace | None) -> list[_Change]:
    """Whether the tables of the state are equal to the bit; hundreds of single numbers are no measure of more."""
    if faulty is None or twin is None:
        return []
    pairs = (("state", faulty.state, twin.state), ("evaluation", faulty.evaluation, twin.evaluation))
    return [(0.0, 0.0 if _equal(ours, theirs) else np.inf, 0, what) for what, ours, theirs in pairs]


def _equal(ours: StateTable, theirs: StateTable) -> bool:
    """To the bit, as far as both go."""
    rows = min(len(ours.iterations), len(theirs.iterations))
    alike = np.array_equal(ours.values[:rows], theirs.values[:rows], equal_nan=True)  # a gap on both sides is equal
    return ours.names == theirs.names and np.array_equal(ours.told[:rows], theirs.told[:rows]) and alike


def _parameters(twin: Trace | None) -> tuple[str, ...]:
    """The names of the trained parameters, in the model's order, which the samples have too."""
    names = twin.state.names if twin is not None else ()
    return tuple(name.partition("/")[2] for name in names if name.startswith("param/"))


def _sampled_changes(faulty: FinishedRun, rounding: Sequence[FinishedRun], names: Sequence[str]) -> list[_Change]:
    if faulty.errors is None:
        return []
    changes = []
    for part, change in faulty.errors.items():
        length = len(change)
        noise = [record.errors[part][:length] for record in rounding if record.errors is not None]
        changes.append(_largest(change, [each for each in noise if len(each) == length], part, 0.0, names))
    return changes


def _largest(
    change: FloatArray, noise: Sequence[FloatArray], what: str, resolution: float, names: Sequence[str] = ()
) -> _Change:
    """The largest of (T, P) changes beside noise; what rounding did earlier in a run it may do later."""
    size = np.where(np.isnan(change), np.inf, change)
    most = np.max([np.where(np.isfinite(each), each, 0.0) for each in noise], axis=0) if noise else np.zeros_like(size)
    most = np.maximum(np.maximum.accumulate(most, axis=0), resolution)
    with np.errstate(all="ignore"):
        times = np.where(size > 0, size / most, 0.0)
    iteration, number = np.unravel_index(int(np.argmax(times)), times.shape)
    named = names[int(number)] if number < len(names) else f"tensor {number}"
    name = f"{what} of {named}" if times.shape[1] > 1 else what
    return float(times[iteration, number]), float(size.max(initial=0.0)), int(iteration), name


def _relative(values: FloatArray, reference: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        difference = np.abs(values - reference)
        return np.where(difference == 0, 0.0, difference / np.abs(reference))
