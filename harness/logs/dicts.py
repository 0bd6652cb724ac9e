"""Dicts that Hugging Face's Trainer prints, and the step that its progress bar gives them.

The Trainer prints no step with its losses: the bar does, and the bar is drawn at most ten times a second, so that the
state above a dict is often an older one. Behind each dict the bar is drawn again, with the step that the dict belongs
to; but what is written to a file through a buffer comes later than the bar. So both states are read, and the one counts
whose steps rise in proportion to the epochs that the dicts print. Where neither does, the epochs alone give the steps,
if the log says how many steps the last epoch ends at; else the records have no step, and are numbered by position.

Dicts and states that fill a line, as nearly all do, are read by layout, many at once; what is left over is searched.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.logs.gathering import UNKNOWN, Gathering
from harness.logs.layout import Layout, Reading, gaps, learn_layout, read_by_layout
from harness.logs.numerals import NUMBER
from harness.logs.tokens import GLOBAL_STEPS, number_of, tokens, words
from harness.values.trace import FloatArray, IntArray

__all__ = ["read_dicts"]

_DICT = rb"\{['\"](?:loss['\"]:[^{}\n]{0,20000}|(train_runtime)['\"]:[^{}\n]{0,20000})\}"
_STATE = rb"\| {0,3}(\d{1,18})/(\d{1,18}) \[\d{1,3}:\d\d"
_PIECES = re.compile(_STATE + rb"|" + _DICT)
_DICT_LINE = re.compile(rb"\{'loss':[^{}\n]{0,2000}\}\n")
_STATE_LINE = re.compile(
    rb"[^|/{\n]{0,200}\|[^|/{\n]{0,200}\| (\d{1,7})/(\d{1,7}) \[(\d{1,3}):\d\d[^|/{\n]{0,100}/s[^|/{\n]{0,100}\n"
)
_OWN_STEPS = (*GLOBAL_STEPS, "step", "iteration")
_OWN_NAMES = ("step", "global_step/max_steps")
"""Of these the names that are looked for in every dict."""
_KNOWN_NAMES = 200  # dicts after which no new name is looked for
_TRIED = 20  # lines, after which none was found to learn from
_MOST_TOTALS = 16  # bars of one log
_SLACK = 0.51  # steps: what rounding to a whole step may do
_FEWEST = 3  # records that can show a proportion
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
    """What was found in a piece by searching: where it begins, and what it says.

    Args:
        dicts: start, epoch, own step (UNKNOWN for none), metric → value.
        states: start, step, total.
    """

    dicts: list[tuple[int, float, int, dict[str, float]]] = field(default_factory=list)
    states: list[tuple[int, int, int]] = field(default_factory=list)


def read_dicts(pieces: Iterable[bytes], found: Gathering) -> None:
    """Gather the dicts of a log that the Trainer and its bar wrote.

    Args:
        pieces: of whole lines.
        found: gets the values, and is told how they were numbered.
    """
    dicts = _Dicts()
    layouts: list[Layout] = []
    for piece in pieces:
        readings = [read_by_layout(piece, layout) for layout in layouts]
        if 2 * sum(int((reading.ends - reading.starts).sum()) for reading in readings) < len(piece):
            layouts = _learn(piece, found)
            readings = [read_by_layout(piece, layout) for layout in layouts]
        _take(piece, readings, dicts, found)
        found.check_records()
    steps = _steps(dicts, found)
    for name, parts in dicts.values.items():
        if (column := found.column(name)) is not None:
            for numbers, values in parts:
                unknown = np.full(len(numbers), UNKNOWN, np.int64)
                column.extend(unknown, steps[numbers], unknown, values)


# ---------------------------------------------------------------------------------------------------- reading a piece


def _learn(piece: bytes, found: Gathering) -> list[Layout]:
    """The layouts of the piece's dicts and of its bar."""
    layouts = []
    for at in _line_starts(piece, b"{'loss':"):
        if (match := _DICT_LINE.match(piece, at)) and (layout := _dict_layout(match[0][:-1], found)):
            _all_names(match[0], found)
            layouts.append(layout)
            break
    for at in _line_starts(piece, b" ["):
        if match := _STATE_LINE.match(piece, at):
            places = {"iteration": 1, "total": 2, "elapsed": 3}
            starts = {name: match.start(group) - at for name, group in places.items()}
            # What stands before the step is the bar itself, which changes; a line with a brace holds a dict too.
            if layout := learn_layout(match[0][:-1], b"|/{", starts, {}, guard=2):
                layouts.append(layout)
                break
    return layouts


def _line_starts(piece: bytes, literal: bytes) -> Iterator[int]:
    """Where the first few lines with a literal begin."""
    at = piece.find(literal)
    for _ in range(_TRIED):
        if at < 0:
            return
        yield piece.rfind(b"\n", 0, at) + 1
        at = piece.find(literal, piece.find(b"\n", at))


def _dict_layout(line: bytes, found: Gathering) -> Layout | None:
    """The layout of a line that is a dict; None where it prints a name twice, or a step under a seldom name."""
    places = {}
    others = []
    own = 0
    for token in tokens(line):
        if not token.name or token.name in places:
            return None
        steps = words(token.name) in _OWN_STEPS
        own += steps
        if steps and token.name not in _OWN_NAMES:
            return None
        if token.name == "epoch" or steps or found.keep(token.name):
            places[token.name] = token.at
        else:
            others.append(token.at)
    decimals = {name: at for name, at in places.items() if name not in _OWN_NAMES}
    integers = dict(zip(("iteration",), (at for name, at in places.items() if name in _OWN_NAMES), strict=False))
    if own > 1 or len(decimals) + len(integers) < 2 or line[-1:] != b"}" or b"|" in line:
        return None
    return learn_layout(line, b":{}", integers, decimals, names=others)


def _take(piece: bytes, readings: Sequence[Reading], dicts: _Dicts, found: Gathering) -> None:
    """Put a piece's dicts and states in their order, however they were read."""
    lines = [reading for reading in readings if reading.decimals]
    bars = [reading for reading in readings if not reading.decimals]
    searched = _search(piece, readings, dicts, found)

    drawn = np.array(searched.states, np.int64).reshape(-1, 3).T
    at = np.concatenate([drawn[0], *(bar.starts for bar in bars)])
    order = np.argsort(at, kind="stable")
    states = at[order]
    dicts.steps.append(np.concatenate([drawn[1], *(bar.integers["iteration"] for bar in bars)])[order])
    dicts.totals.append(np.concatenate([drawn[2], *(bar.integers["total"] for bar in bars)])[order])

    found_at = np.array([one[0] for one in searched.dicts], np.int64)
    at = np.concatenate([found_at, *(line.starts for line in lines)])
    order = np.argsort(at, kind="stable")
    number = np.empty(len(at), np.int64)
    number[order] = dicts.count + np.arange(len(at))
    nothing = [line.decimals.get("epoch", np.full(len(line.starts), np.nan)) for line in lines]
    dicts.epochs.append(np.concatenate([np.array([one[1] for one in searched.dicts], np.float64), *nothing])[order])
    dicts.states.append(dicts.drawn + np.searchsorted(states, at[order]))

    own = np.concatenate(
        [
            np.array([one[2] for one in searched.dicts], np.int64),
            *(line.integers.get("iteration", np.full(len(line.starts), UNKNOWN, np.int64)) for line in lines),
        ]
    )
    if np.any(own != UNKNOWN):
        dicts.own.append((number[own != UNKNOWN], own[own != UNKNOWN]))
    begin = len(searched.dicts)
    by_layout: dict[str, tuple[IntArray, FloatArray]] = {}
    for line in lines:
        for name, values in line.decimals.items():
            if name != "epoch":
                by_layout[name] = number[begin : begin + len(values)], values
        begin += len(line.starts)
    for name in dict.fromkeys([*by_layout, *(name for one in searched.dicts for name in one[3])]):
        rows = [(row, one[3][name]) for row, one in enumerate(searched.dicts) if name in one[3]]
        numbers, values = by_layout.get(name, (np.empty(0, np.int64), np.empty(0)))
        numbers = np.concatenate([number[[row for row, _ in rows]], numbers]) if rows else numbers
        values = np.concatenate([[value for _, value in rows], values]) if rows else values
        order = np.argsort(numbers, kind="stable")
        dicts.values.setdefault(name, []).append((numbers[order], values[order]))
    dicts.count += len(at)
    dicts.drawn += len(states)
    found.records += len(at)


def _search(piece: bytes, readings: Sequence[Reading], dicts: _Dicts, found: Gathering) -> _Searched:
    """The dicts and states of a piece that were not read by layout."""
    searched = _Searched()
    lines = [reading.starts for reading in readings if reading.decimals]
    before = np.concatenate(lines) if lines else np.empty(0, np.int64)
    known = {*dicts.values, *(name for reading in readings for name in reading.decimals if name != "epoch")}
    for start, end in gaps(readings, len(piece)):
        for match in _PIECES.finditer(piece, start, end):
            if match[1] is not None:
                searched.states.append((match.start(), int(match[1]), int(match[2])))
                continue
            number = dicts.count + len(searched.dicts)
            if number < _KNOWN_NAMES:
                number += int(np.searchsorted(before, match.start()))
            every = match[3] is not None or number < _KNOWN_NAMES
            named = _all_names(match[0], found) if every else _kept_names(match[0], known)
            epoch = named.pop("epoch", float("nan"))
            if match[3] is not None:
                dicts.last_epoch = epoch
                continue
            own = UNKNOWN
            values = {}
            for name, value in named.items():
                if words(name) in _OWN_STEPS:
                    own = int(value) if value >= 0 and value % 1 == 0 else own
                elif found.keep(name):
                    values[name] = value
            known.update(values)
            searched.dicts.append((match.start(), epoch, own, values))
    return searched


def _all_names(text: bytes, found: Gathering) -> dict[str, float]:
    """Every name and number of a dict."""
    named: dict[str, float] = {}
    for token in tokens(text):
        if token.name:
            named.setdefault(token.name, token.value)
            if token.name != "epoch" and words(token.name) not in _OWN_STEPS:
                found.column(token.name)
    return named


def _kept_names(text: bytes, known: Iterable[str]) -> dict[str, float]:
    """The numbers of a dict that are kept, of names that are known by now: a tenth of the time."""
    named = {}
    for name in ("epoch", *_OWN_NAMES, *known):
        if match := _number_of(name).search(text):
            named[name] = number_of(match[1])
    return named


@functools.lru_cache(maxsize=256)
def _number_of(name: str) -> re.Pattern[bytes]:
    quoted = rb"['\"]" + re.escape(name.encode()) + rb"['\"]: ?['\"]?"
    return re.compile(quoted + rb"(" + NUMBER + rb")(?![\w.])")


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
    best, least = unknown, np.inf
    for total in most:
        for state in (before, before + 1):
            mine = np.where(totals[state] == total, steps[state], UNKNOWN)
            if (error := _misfit(mine, epochs)) < least:
                best, least = mine, error
    if np.isfinite(least):
        return best
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
    distinct, first, count = np.unique(totals, return_index=True, return_counts=True)
    chosen = np.sort(np.argsort(-count, kind="stable")[:_MOST_TOTALS])
    return [int(total) for total in distinct[chosen][np.argsort(first[chosen])]]


def _misfit(steps: IntArray, epochs: FloatArray) -> float:
    """How far steps are from a proportion to their epochs, or from even intervals; infinite where they are none."""
    if np.any(steps <= 0) or np.any(np.diff(steps) <= 0):
        return np.inf
    if len(steps) < _FEWEST or not np.all(epochs > 0):
        intervals = np.diff(steps)
        return float(np.mean(intervals != np.median(intervals))) if len(intervals) else 0.0
    ratio = float(np.median(steps / epochs))
    decimals = next((places for places in range(8) if np.allclose(epochs, np.round(epochs, places), atol=1e-9)), 8)
    error = np.abs(steps - ratio * epochs)
    return float(error.mean()) if np.all(error <= _SLACK + ratio * 10.0**-decimals) else np.inf
