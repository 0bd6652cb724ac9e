"""Dicts that Hugging Face's Trainer prints, and the step that its progress bar gives them.

The Trainer prints no step with its losses: the bar does, and the bar is drawn at most ten times a second, so that the
state above a dict is often an older one. Behind each dict the bar is drawn again, with the step that the dict belongs
to; but what is written to a file through a buffer comes later than the bar. So both states are read, and the one counts
whose steps rise in proportion to the epochs that the dicts print. Where neither does, the epochs alone give the steps,
if the log says how many steps the last epoch ends at; else the records have no step, and are numbered by position.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from harness.logs.gathering import UNKNOWN, Gathering
from harness.logs.numerals import NUMBER
from harness.logs.tokens import GLOBAL_STEPS, number_of, tokens, words
from harness.values.trace import FloatArray, IntArray

__all__ = ["read_dicts"]

_PIECES = re.compile(
    rb"\| {0,3}(\d{1,18})/(\d{1,18}) \[\d{1,3}:\d\d|"
    rb"\{['\"](?:loss['\"]:[^{}\n]{0,20000}|(train_runtime)['\"]:[^{}\n]{0,20000})\}"
)
_OWN_STEPS = (*GLOBAL_STEPS, "step", "iteration")
_KNOWN_NAMES = 200  # dicts after which no new name is looked for
_SLACK = 0.51  # steps: what rounding to a whole step may do
_FEWEST = 3  # records that can show a proportion
_NEAR = 0.2  # steps: what epochs of four digits may be off a whole step


@dataclass
class _Dicts:
    """The dicts of a log in their order.

    Args:
        values: metric → dict number → value.
        epochs: what each prints, NaN for nothing.
        before: the bar's step above each, UNKNOWN for none.
        after: the bar's step behind each.
        totals: how many steps the bar counts to → how often it was drawn.
        own: dict number → the step that it prints itself.
        last_epoch: where the training ended, as its summary says; NaN without one.
    """

    values: dict[str, dict[int, float]] = field(default_factory=dict)
    epochs: list[float] = field(default_factory=list)
    before: list[tuple[int, int]] = field(default_factory=list)
    after: list[tuple[int, int]] = field(default_factory=list)
    totals: dict[int, int] = field(default_factory=dict)
    last_epoch: float = float("nan")
    own: dict[int, int] = field(default_factory=dict)


def read_dicts(pieces: Iterable[bytes], found: Gathering) -> None:
    """Gather the dicts of a log that the Trainer and its bar wrote.

    Args:
        pieces: of whole lines.
        found: gets the values, and is told how they were numbered.
    """
    dicts = _Dicts()
    state = (UNKNOWN, 0)
    waiting: list[int] = []
    for piece in pieces:
        for match in _PIECES.finditer(piece):
            if match[1] is not None:
                state = (int(match[1]), int(match[2]))
                dicts.totals[state[1]] = dicts.totals.get(state[1], 0) + 1
                for number in waiting:
                    dicts.after[number] = state
                waiting.clear()
            elif match[2] is None:
                waiting.append(_take(match[0], state, dicts, found, summary=match[3] is not None))
                if waiting[-1] == UNKNOWN:
                    waiting.pop()
        found.check_records()
    steps = _steps(dicts, found)
    for name, values in dicts.values.items():
        if (column := found.column(name)) is not None:
            for number, value in values.items():
                column.append(UNKNOWN, int(steps[number]), UNKNOWN, value)


def _take(text: bytes, state: tuple[int, int], dicts: _Dicts, found: Gathering, *, summary: bool) -> int:
    """Take one dict; returns its number, UNKNOWN for the summary at a training's end."""
    number = len(dicts.epochs)
    named = _all_names(text, found) if summary or number < _KNOWN_NAMES else _kept_names(text, dicts)
    epoch = named.pop("epoch", float("nan"))
    if summary:
        dicts.last_epoch = epoch
        return UNKNOWN
    for name, value in named.items():
        if words(name) in _OWN_STEPS:
            if value >= 0 and value % 1 == 0:
                dicts.own[number] = int(value)
        elif found.keep(name):
            dicts.values.setdefault(name, {}).setdefault(number, value)
    dicts.epochs.append(epoch)
    dicts.before.append(state)
    dicts.after.append((UNKNOWN, 0))
    found.records += 1
    return number


def _all_names(text: bytes, found: Gathering) -> dict[str, float]:
    """Every name and number of a dict."""
    named: dict[str, float] = {}
    for token in tokens(text):
        if token.name:
            named.setdefault(token.name, token.value)
            if token.name != "epoch" and words(token.name) not in _OWN_STEPS:
                found.column(token.name)
    return named


def _kept_names(text: bytes, dicts: _Dicts) -> dict[str, float]:
    """The numbers of a dict that are kept, of names that are known by now: a tenth of the time."""
    named = {}
    for name in ("epoch", "step", "global_step/max_steps", *dicts.values):
        if match := _number_of(name).search(text):
            named[name] = number_of(match[1])
    return named


@functools.lru_cache(maxsize=256)
def _number_of(name: str) -> re.Pattern[bytes]:
    quoted = rb"['\"]" + re.escape(name.encode()) + rb"['\"]: ?['\"]?"
    return re.compile(quoted + rb"(" + NUMBER + rb")(?![\w.])")


def _steps(dicts: _Dicts, found: Gathering) -> IntArray:
    """(N,) the step of each dict; all UNKNOWN where it can't be told."""
    unknown = np.full(len(dicts.epochs), UNKNOWN, np.int64)
    if dicts.own:
        return np.array([dicts.own.get(number, UNKNOWN) for number in range(len(unknown))], np.int64)
    if not dicts.totals:
        return unknown
    epochs = np.array(dicts.epochs)
    best, least = unknown, np.inf
    for total in dicts.totals:
        for states in (dicts.before, dicts.after):
            steps = np.array([step if whole == total else UNKNOWN for step, whole in states], np.int64)
            if (error := _misfit(steps, epochs)) < least:
                best, least = steps, error
    if np.isfinite(least):
        return best
    for total in sorted(dicts.totals, reverse=True):
        exact = epochs * total / dicts.last_epoch if dicts.last_epoch > 0 else np.full(len(epochs), np.nan)
        rounded = np.rint(exact)
        if np.isfinite(exact).all() and np.all(np.abs(exact - rounded) < _NEAR) and np.all(np.diff(rounded) > 0):
            found.note("the progress bar was not drawn beside the losses: their steps are those of their epochs")
            return rounded.astype(np.int64)
    found.note("the progress bar doesn't stand beside the losses that it belongs to: it gives them no step")
    return unknown


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
