"""From records in the order of the log to one series a rank: restarts, repetitions and epochs settled, and said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.logs.gathering import UNKNOWN, Column, Gathering
from harness.logs.numerals import Mask
from harness.pairs.log import Series
from harness.values.errors import LogError
from harness.values.trace import FloatArray, IntArray

__all__ = ["Numbering", "mean_over_ranks", "require_rank", "settle"]


_BRANCH = 3
"""Records beyond a counter's fall that make it a resume; fewer may be lines out of order."""

_FEWEST_MIXED = 4
"""Iterations with several values, below which the last of them is taken, and said."""


@dataclass
class Numbering:
    """How a log's records are numbered: what is asked for goes in, what was found comes out.

    Args:
        epoch_length: iterations of an epoch; 0 for what the log says.
        first_epoch: the number of the first epoch, 0 or 1; None to find it out.
        printed: whether the log prints iteration numbers itself.
        by_epoch: whether the numbers are those of epochs.
        epoch_length_printed: whether the log, or who asked, says how long an epoch is.
    """

    epoch_length: int = 0
    first_epoch: int | None = None
    printed: bool = True
    by_epoch: bool = False
    epoch_length_printed: bool = True


def settle(column: Column, found: Gathering, numbering: Numbering) -> dict[int, Series]:
    """A metric's series, rank by rank.

    Args:
        column: its values in the order of the log; not empty.
        found: is told of each decision.
        numbering: what is asked for; is told what was found.
    """
    epochs, iterations, ranks, values = column.read()
    series = {}
    given = numbering.epoch_length
    for rank, mine in _by_rank(ranks, found).items():
        numbering.epoch_length = given
        numbers, kept = _number(epochs[mine], iterations[mine], found, numbering)
        series[rank] = _one_an_iteration(numbers, values[mine][kept], found)
    return series


def mean_over_ranks(ranks: dict[int, Series], found: Gathering) -> Series:
    """The mean over all ranks, at the iterations that every rank has."""
    common = next(iter(ranks.values())).iterations
    for series in ranks.values():
        common = np.intersect1d(common, series.iterations, assume_unique=True)
    every = {iteration for series in ranks.values() for iteration in series.iterations.tolist()}
    if len(every) > len(common):
        found.note("{count} iteration(s) that not every rank has were left out of the mean", len(every) - len(common))
    stacked = [series.values[np.searchsorted(series.iterations, common)] for series in ranks.values()]
    with np.errstate(invalid="ignore"):
        return Series(common, np.mean(stacked, axis=0))


def _by_rank(ranks: IntArray, found: Gathering) -> dict[int, slice | Mask]:
    """Rank → which records are its own."""
    lowest, highest = int(ranks.min()), int(ranks.max())
    if lowest == highest:
        return {max(lowest, 0): slice(None)}
    if lowest == UNKNOWN:
        found.note("{count} record(s) name no rank: taken as rank 0", int((ranks == UNKNOWN).sum()))
        ranks = np.maximum(ranks, 0)
    return {rank: ranks == rank for rank in np.unique(ranks).tolist()}


def _number(
    epochs: IntArray, iterations: IntArray, found: Gathering, numbering: Numbering
) -> tuple[IntArray, slice | Mask | IntArray]:
    """Iteration numbers of the whole training, and which records have one."""
    known = iterations != UNKNOWN if iterations.min() == UNKNOWN else np.ones(len(iterations), np.bool_)
    if not known.any():
        numbering.epoch_length = 0
        if np.all(epochs != UNKNOWN) and np.all(np.diff(epochs) >= (0 if found.states else 1)):
            found.note("the log prints epochs and no iterations: compared epoch by epoch")
            numbering.by_epoch = True
            return epochs, slice(None)
        return _by_position(len(iterations), found, numbering), slice(None)
    if not known.all():
        if 2 * int(known.sum()) < len(known):
            found.note(
                "{count} record(s) with an iteration number, among more without one, were left out", int(known.sum())
            )
            return _by_position(int((~known).sum()), found, numbering), ~known
        found.note("{count} record(s) without an iteration number were left out", int((~known).sum()))
        epochs, iterations = epochs[known], iterations[known]
    if found.states and (begun := iterations == 0).any() and not begun.all():
        found.note("{count} state(s) of a progress bar at 0 were left out: no iteration was done", int(begun.sum()))
        known = np.flatnonzero(known)[~begun]
        epochs, iterations = epochs[~begun], iterations[~begun]
    if found.per_epoch and found.epoch_length and epochs.max() == UNKNOWN:
        epochs = _counted_epochs(iterations, found.epoch_length)
    elif epochs.max() == UNKNOWN and _repeats_itself(iterations):
        found.note("the iteration counter runs through the same numbers again and again: each time counts as an epoch")
        epochs = np.concatenate([[0], np.cumsum(np.diff(iterations) < 0)]).astype(np.int64)
    if epochs.min() != UNKNOWN and (found.per_epoch or _starts_over(epochs, iterations)):
        iterations = _numbered_through(epochs, iterations, found, numbering)
    else:
        numbering.epoch_length = 0
    return iterations, known


def _by_position(records: int, found: Gathering, numbering: Numbering) -> IntArray:
    found.note("the log prints no iteration numbers: its records were numbered from 0 in their order")
    numbering.printed, numbering.epoch_length = False, 0
    return np.arange(records)


def _numbered_through(epochs: IntArray, iterations: IntArray, found: Gathering, numbering: Numbering) -> IntArray:
    """Iterations that are counted from the start of their epoch, counted through."""
    largest = int(iterations.max()) if found.states else int(iterations.max() - min(int(iterations.min()), 1) + 1)
    length = found.epoch_length or numbering.epoch_length or found.total
    numbering.epoch_length_printed = bool(length) or _is_whole(epochs, iterations)
    length = max(length, largest) if length else largest
    first = min(int(epochs.min()), 1) if numbering.first_epoch is None else numbering.first_epoch
    numbering.epoch_length, numbering.first_epoch = length, first
    if epochs.min() < epochs.max() or epochs.min() > first:
        said = (
            ""
            if numbering.epoch_length_printed
            else (", its largest iteration: the log doesn't say how long an epoch is (--epoch-length N does)")
        )
        found.note(
            f"iterations are numbered from the start of their epoch: numbered through, {length:,} an epoch{said}"
        )
    return np.asarray(iterations + (epochs - first) * length)


def _is_whole(epochs: IntArray, iterations: IntArray) -> bool:
    """Whether every iteration is printed: then the largest one is an epoch's last, but for the last epoch's."""
    return bool(epochs[0] != epochs[-1] and np.all(np.diff(iterations)[np.diff(epochs) == 0] == 1))


def _counted_epochs(iterations: IntArray, length: int) -> IntArray:
    """Epochs of a bar that starts again from its beginning, once it has come to its end."""
    falls = (np.diff(iterations) < 0) & (iterations[:-1] >= 0.9 * length)
    return np.concatenate([[0], np.cumsum(falls)]).astype(np.int64)


def _repeats_itself(iterations: IntArray) -> bool:
    """Whether a counter without epochs runs at least twice through the same numbers, and begins a third time."""
    cuts = np.flatnonzero(np.diff(iterations) < 0) + 1
    if len(cuts) < 2:
        return False
    first, *others = np.split(iterations, cuts)
    return len(first) > 1 and all(
        np.array_equal(one, first if at < len(others) - 1 else first[: len(one)]) for at, one in enumerate(others)
    )


def _starts_over(epochs: IntArray, iterations: IntArray) -> bool:
    """Whether the counter falls back wherever, and only where, the epoch rises."""
    if epochs[0] == epochs[-1]:
        return False
    rises, falls = np.diff(epochs) > 0, np.diff(iterations) <= 0
    return bool(rises.any() and np.all(falls[rises]))


def _one_an_iteration(iterations: IntArray, values: FloatArray, found: Gathering) -> Series:
    """The last record of each iteration, in the order of iterations; what a resumed run leaves behind is left out.

    Raises:
        LogError: most iterations have several records with different values, side by side: no resume does this.
    """
    steps = np.diff(iterations)
    if np.all(steps > 0):
        return Series(iterations.astype(np.int64), values.astype(np.float64))
    falls = np.flatnonzero(steps < 0)
    if len(falls):
        at = int(falls[0])
        found.note(
            f"the iteration counter goes back {len(falls):,} time(s), first from {iterations[at]} to "
            f"{iterations[at + 1]}, as after a resume"
        )
    if not found.states and (stale := _left_behind(iterations, falls)).any():
        found.note(
            "{count} record(s) before a resume lie beyond what was run again, and were left out", int(stale.sum())
        )
        iterations, values = iterations[~stale], values[~stale]
    elif not len(falls):
        _refuse_mixed(iterations, values, found)
    distinct, first = np.unique(iterations[::-1], return_index=True)
    last = len(iterations) - 1 - first
    repeated = len(iterations) - len(last)
    if repeated:
        counted = values[last][np.searchsorted(distinct, iterations)]
        differing = int(np.sum((values != counted) & ~(np.isnan(values) & np.isnan(counted))))
        found.note(
            f"{repeated:,} record(s) repeat an iteration, {differing:,} of them with another value: "
            "the last of each iteration counts"
        )
    return Series(distinct.astype(np.int64), values[last].astype(np.float64))


def _left_behind(iterations: IntArray, falls: IntArray) -> Mask:
    """Which records are of a branch that a resume gave up: beyond where it begins, and never run again.

    Counters that fall back often are out of order, as several writers' are, and no resume.
    """
    stale = np.zeros(len(iterations), np.bool_)
    if len(falls) > max(1, len(iterations) // 20):
        return stale
    for at in falls.tolist():
        resumed, before = iterations[at + 1], iterations[: at + 1]
        beyond = before >= resumed
        if resumed in before or int(beyond.sum()) >= _BRANCH:
            stale[: at + 1] |= beyond & ~np.isin(before, iterations[at + 1 :])
    return stale


def _refuse_mixed(iterations: IntArray, values: FloatArray, found: Gathering) -> None:
    """Refuse records of several processes, or of other phases, that nothing tells apart.

    Of a progress bar, which is drawn several times at one iteration, the last state counts.

    Raises:
        LogError: at least half of the iterations stand there several times in a row, with different values.
    """
    again = np.diff(iterations) == 0
    other = again & (values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
    distinct = len(iterations) - int(again.sum())
    if found.states or int(other.sum()) < max(_FEWEST_MIXED, distinct // 2):
        return
    at = int(np.argmax(other))
    raise LogError(
        "several records of one iteration hold different values, and nothing says which is whose",
        where=f"iteration {iterations[at]}",
        observed=f"{values[at]:.6g} and {values[at + 1]:.6g}; {int(other.sum())} such pairs, {distinct} iterations",
        allowed="one record an iteration and rank",
        hint="split it by process, or let each line begin with its rank, as torchrun's [rank0]: does",
    )


def require_rank(ranks: dict[int, Series], rank: int, where: object) -> Series:
    """The series of one rank.

    Raises:
        LogError: the log has no record of it.
    """
    if rank not in ranks:
        raise LogError(
            "the log holds no record of that rank",
            where=where,
            observed=f"rank {rank}",
            allowed=", ".join(map(str, sorted(ranks))),
            hint="--rank with one of them, or --rank mean",
        )
    return ranks[rank]
