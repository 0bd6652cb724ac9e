"""Dicts that Hugging Face's Trainer prints, and the step that its progress bar gives them.

The Trainer prints no step with its losses: the bar does, and the bar is drawn at most ten times a second, so that the
state above a dict is often an older one. Behind each dict the bar is drawn again, with the step that the dict belongs
to; but what is written to a file through a buffer comes later than the bar. So both states are read, and the one counts
whose steps rise in proportion to the epochs that the dicts print. Where neither does, the epochs alone give the steps,
if the log says how many steps the last epoch ends at; else the records have no step, and are numbered by position.

Lines that hold one dict or one state, as nearly all do, are read by forms, many at once; the others are searched.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.logs.forms import Forms
from harness.logs.gathering import UNKNOWN, Gathering, count_before
from harness.logs.meaning import Meaning, Reading
from harness.logs.tokens import GLOBAL_STEPS, tokens, words
from harness.values.trace import FloatArray, IntArray

__all__ = ["read_dicts"]

_DICT = rb"\{['\"](?:loss['\"]:[^{}\n]{0,20000}|(train_runtime)['\"]:[^{}\n]{0,20000})\}"
_STATE = rb"\| {0,3}(\d{1,18})/(\d{1,18}) \[\d{1,3}:\d\d"
_PIECES = re.compile(_STATE + rb"|" + _DICT)
_OWN_STEPS = (*GLOBAL_STEPS, "step", "iteration")
_MARKER = re.compile(rb"loss|\[\d")
"""In each line with a dict or a state."""
_MOST_TOTALS = 16  # bars of one log
_SLACK = 0.51  # steps: what rounding to a whole step may do
_FEWEST = 3  # records that can show a proportion
_FIRST = 1000  # records, looked at before all are
_COMPARED = 20_000  # of very many records, by which the better of two ways to number them is told
_NEAR = 0.2  # steps: what epochs of four digits may be off a whole step


@dataclass
class _Dicts:
    """The dicts of a log, N of them, and the M states of its bar, in their order; arrays in parts, one a piece.

    Args:
        values: metric → numbers of dicts, and their values.
        own: numbers of dicts, and the steps that they print themselves.
        epochs: (N,) what each prints, NaN for nothing.
        states: (N,) how many states of the bar stand before each.
        steps: (M,) of the bar's states.
        totals: (M,) how many steps the bar counts to.
        count: N so far.
        drawn: M so far.
        last_epoch: where the training ended, as its summary says; NaN without one.
    """

    values: dict[str, list[tuple[IntArray, FloatArray]]] = field(default_factory=dict)
    own: list[tuple[IntArray, IntArray]] = field(default_factory=list)
    epochs: list[FloatArray] = field(default_factory=list)
    states: list[IntArray] = field(default_factory=list)
    steps: list[IntArray] = field(default_factory=list)
    totals: list[IntArray] = field(default_factory=list)
    count: int = 0
    drawn: int = 0
    last_epoch: float = float("nan")


@dataclass
class _Searched:
    """What was found in a piece by searching, each with where it begins: dicts; states' steps and totals."""

    dicts: list[tuple[int, _Dict]] = field(default_factory=list)
    states: list[tuple[int, int, int]] = field(default_factory=list)


def read_dicts(pieces: Iterable[bytes], found: Gathering) -> None:
    """Gather the dicts of a log that the Trainer and its bar wrote.

    Args:
        pieces: of whole lines.
        found: gets the values, and is told how they were numbered.
    """
    dicts = _Dicts()
    forms = Forms(lambda line: _meaning(line, found), _MARKER, groups=False)
    for piece in pieces:
        _take(piece, forms, dicts, found)
        found.check_records()
    steps = _steps(dicts, found)
    for name, parts in dicts.values.items():
        if (column := found.column(name)) is not None:
            for numbers, values in parts:
                unknown = np.broadcast_to(np.int64(UNKNOWN), len(numbers))
                column.extend(unknown, steps[numbers], unknown, values)


# ---------------------------------------------------------------------------------------------------- reading a piece


@dataclass(frozen=True)
class _Dict:
    """What a dict says: its epoch, its own step (UNKNOWN for none), metric → value, and where each number begins."""

    epoch: float
    own: int
    values: dict[str, float]
    places: dict[str, int]
    names: tuple[str, ...]


def _read_dict(text: bytes, found: Gathering, at: int = 0) -> _Dict:
    """Read a dict, which begins ``at`` bytes behind what its places are counted from."""
    epoch, own = float("nan"), UNKNOWN
    values: dict[str, float] = {}
    places: dict[str, int] = {}
    names: dict[str, None] = {}
    for token in tokens(text):
        if not token.name or token.name in names:
            continue
        names[token.name] = None
        if token.name == "epoch":
            epoch, places["epoch"] = token.value, at + token.at
        elif words(token.name) in _OWN_STEPS:
            if token.value >= 0 and token.value % 1 == 0:
                own, places["iteration"] = int(token.value), at + token.at
        elif found.keep(token.name):
            values[token.name], places[token.name] = token.value, at + token.at
    metrics = tuple(name for name in names if name != "epoch" and words(name) not in _OWN_STEPS)
    return _Dict(epoch, own, values, places, metrics)


def _meaning(line: bytes, found: Gathering) -> Meaning[str] | None:
    """What a line says that holds one dict, or one state of the bar; None of another line."""
    matches = list(itertools.islice(_PIECES.finditer(line), 2))
    if len(matches) != 1 or matches[0][3] is not None:
        return None
    match = matches[0]
    if match[1] is not None:
        places = {"iteration": match.start(1), "total": match.start(2)}
        return Meaning("state", places, {}, {"iteration": int(match[1]), "total": int(match[2])}, ())
    one = _read_dict(match[0], found, match.start())
    integers = {"iteration": one.places["iteration"]} if one.own != UNKNOWN else {}
    decimals = {name: place for name, place in one.places.items() if name != "iteration"}
    values = {**one.values, "epoch": one.epoch, "iteration": one.own}
    return Meaning("dict", integers, decimals, values, one.names)


def _take(piece: bytes, forms: Forms[str], dicts: _Dicts, found: Gathering) -> None:
    """Put a piece's dicts and states in their order, however they were read."""
    readings, gaps = forms.read(piece)
    lines = [reading for reading in readings if reading.meaning.structure == "dict"]
    bars = [reading for reading in readings if reading.meaning.structure == "state"]
    searched = _search(piece, gaps, dicts, found)

    drawn = np.array(searched.states, np.int64).reshape(-1, 3).T
    at = np.concatenate([drawn[0], *(bar.starts for bar in bars)])
    order = np.argsort(at, kind="stable")
    states = at[order]
    dicts.steps.append(np.concatenate([drawn[1], *(bar.integers["iteration"] for bar in bars)])[order])
    dicts.totals.append(np.concatenate([drawn[2], *(bar.integers["total"] for bar in bars)])[order])

    at = np.concatenate([np.array([start for start, _ in searched.dicts], np.int64), *(line.starts for line in lines)])
    order = np.argsort(at, kind="stable")
    number = np.empty(len(at), np.int64)
    number[order] = dicts.count + np.arange(len(at))
    epochs = [line.decimals.get("epoch", np.full(len(line.starts), np.nan)) for line in lines]
    dicts.epochs.append(
        np.concatenate([np.array([one.epoch for _, one in searched.dicts], np.float64), *epochs])[order]
    )
    dicts.states.append(dicts.drawn + count_before(states, at[order]))
    steps = [line.integers.get("iteration", np.full(len(line.starts), UNKNOWN, np.int64)) for line in lines]
    own = np.concatenate([np.array([one.own for _, one in searched.dicts], np.int64), *steps])
    if np.any(own != UNKNOWN):
        dicts.own.append((number[own != UNKNOWN], own[own != UNKNOWN]))

    named = [(start, one.names) for start, one in searched.dicts]
    named += [(int(line.starts[0]), line.meaning.names) for line in lines]
    for _, names in sorted(named, key=lambda one: one[0]):
        for name in names:
            found.column(name)
    _take_values(searched, lines, number, dicts)
    dicts.count += len(at)
    dicts.drawn += len(states)
    found.records += len(at)


def _take_values(searched: _Searched, lines: Sequence[Reading[str]], number: IntArray, dicts: _Dicts) -> None:
    """Put the values of a piece's dicts in their order; ``number`` is that of each, those that were searched first."""
    parts: dict[str, list[tuple[IntArray, FloatArray]]] = {}
    begin = len(searched.dicts)
    for line in lines:
        for name, values in line.decimals.items():
            if name != "epoch":
                parts.setdefault(name, []).append((number[begin : begin + len(values)], values))
        begin += len(line.starts)
    rows: dict[str, list[tuple[int, float]]] = {}
    for row, (_, one) in enumerate(searched.dicts):
        for name, value in one.values.items():
            rows.setdefault(name, []).append((int(number[row]), value))
    for name, found_rows in rows.items():
        parts.setdefault(name, []).append(
            (np.array([row for row, _ in found_rows], np.int64), np.array([value for _, value in found_rows]))
        )
    for name, columns in parts.items():
        numbers, values = (np.concatenate(column) for column in zip(*columns, strict=True))
        order = np.argsort(numbers, kind="stable")
        dicts.values.setdefault(name, []).append((numbers[order], values[order]))


def _search(piece: bytes, gaps: Iterable[tuple[int, int]], dicts: _Dicts, found: Gathering) -> _Searched:
    """The dicts and states of a piece that were not read by forms."""
    searched = _Searched()
    for start, end in gaps:
        for match in _PIECES.finditer(piece, start, end):
            if match[1] is not None:
                searched.states.append((match.start(), int(match[1]), int(match[2])))
                continue
            one = _read_dict(match[0], found)
            if match[3] is not None:
                dicts.last_epoch = one.epoch
            else:
                searched.dicts.append((match.start(), one))
    return searched


# ------------------------------------------------------------------------------------------------- numbering the dicts


def _steps(dicts: _Dicts, found: Gathering) -> IntArray:
    """(N,) the step of each dict; all UNKNOWN where it can't be told."""
    unknown = np.full(dicts.count, UNKNOWN, np.int64)
    if dicts.own:
        for numbers, steps in dicts.own:
            unknown[numbers] = steps
        return unknown
    if not dicts.drawn or not dicts.count:
        return unknown
    epochs = np.concatenate(dicts.epochs)
    before = np.concatenate(dicts.states)
    steps, totals = (np.concatenate([[UNKNOWN], *parts, [UNKNOWN]]) for parts in (dicts.steps, dicts.totals))
    most = _frequent(totals[1:-1])
    decimals = next((places for places in range(8) if _have(epochs[:_FIRST], places) and _have(epochs, places)), 8)
    sample = slice(None, None, -(-len(epochs) // _COMPARED))
    ways: list[tuple[float, IntArray]] = []
    for total in most:
        of_total = np.where(totals == total, steps, UNKNOWN)
        for state in (before, before + 1):
            mine = of_total[state]
            ways.append((_misfit(mine[sample], epochs[sample], decimals), mine))
    for error, mine in sorted(ways, key=lambda one: one[0]):
        if np.isfinite(error) and np.isfinite(_misfit(mine, epochs, decimals)):
            return mine
    for total in sorted(most, reverse=True):
        exact = epochs * total / dicts.last_epoch if dicts.last_epoch > 0 else np.full(len(epochs), np.nan)
        rounded = np.rint(exact)
        if np.isfinite(exact).all() and np.all(np.abs(exact - rounded) < _NEAR) and np.all(np.diff(rounded) > 0):
            found.note("the progress bar was not drawn beside the losses: their steps are those of their epochs")
            return rounded.astype(np.int64)
    found.note("the progress bar doesn't stand beside the losses that it belongs to: it gives them no step")
    return unknown


def _frequent(totals: IntArray) -> list[int]:
    """What the bars of a log count to, in the order of their first states; of very many the most frequent."""
    if totals.size and totals.min() == totals.max():  # as in nearly every log
        return [int(totals[0])]
    distinct, first, count = np.unique(totals, return_index=True, return_counts=True)
    chosen = np.sort(np.argsort(-count, kind="stable")[:_MOST_TOTALS])
    return [int(total) for total in distinct[chosen][np.argsort(first[chosen])]]


def _have(numbers: FloatArray, places: int) -> bool:
    """Whether numbers have no more decimals than so many."""
    with np.errstate(invalid="ignore", over="ignore"):  # huge and infinite ones have more
        rounded = np.round(numbers, places)
        return bool(np.all(np.abs(numbers - rounded) <= 1e-9 + 1e-5 * np.abs(rounded)))


def _misfit(steps: IntArray, epochs: FloatArray, decimals: int) -> float:
    """How far steps are from a proportion to their epochs, or from even intervals; infinite where they are none.

    Args:
        steps: (N,) of dicts.
        epochs: (N,) that they print.
        decimals: how many these are printed with.
    """
    if np.any(steps[:1] <= 0) or np.any(steps[1:] <= steps[:-1]):
        return np.inf
    if len(steps) < _FEWEST or not np.all(epochs > 0):
        intervals = np.diff(steps)
        return float(np.mean(intervals != np.median(intervals))) if len(intervals) else 0.0
    ratio = float(np.median(steps / epochs))
    error = np.abs(steps - ratio * epochs)
    return float(error.mean()) if np.all(error <= _SLACK + ratio * 10.0**-decimals) else np.inf
