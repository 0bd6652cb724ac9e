"""As many runs on a card as its memory holds: a run begins where what it needs is free, and waits else.

What a run needs is its case's peak: told by an earlier run of it, in this command or one before, or by a baseline that
such a device recorded. A run of which nothing is known has a card for itself, and tells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.devices.choice import DeviceChoice
from harness.running.pool import AUTO, Slot, free_of
from harness.store.atomic import write_text
from harness.store.decoding import encode_value, read_value
from harness.values.errors import AlignmentError, RunError
from harness.values.trace import Trace

__all__ = ["MARGIN", "WORKSPACE", "CardRoom", "Peaks", "find_room", "needed", "peak_of"]

MARGIN = 1.2
"""What a run may need over the peak that another one of its case had: an allocator's rounding, another algorithm."""

WORKSPACE = 2**30
"""Bytes of a card that a process takes beside its tensors: its context, its libraries' workspaces and kernels."""

_LOOKING = 0.2
"""Seconds from one look at whether a command is to end to the next."""

_FILE = "memory.json"
"""In the report's folder: what each case needed there."""


def needed(peak: float) -> float:
    """Bytes of a card that a run is taken to need, from the peak of its case's tensors in bytes."""
    return MARGIN * peak + WORKSPACE


def peak_of(trace: Trace | None) -> float | None:
    """The peak of a run's tensors, in bytes; None where it tells none."""
    told = trace.signals.get("memory") if trace is not None and len(trace) else None
    return None if told is None or not np.isfinite(told).any() else 2**20 * float(np.nanmax(told))


class Peaks:
    """What cases have needed on one type of device.

    Args:
        device: the type's name.
        known: case → bytes of its tensors' peak.
    """

    def __init__(self, device: str, known: Mapping[Hashable, float] | None = None) -> None:
        self._device = device
        self._known = dict(known or {})
        self._lock = threading.Lock()

    def of(self, case: Hashable) -> float | None:
        """Bytes; None where nothing is known."""
        with self._lock:
            return self._known.get(case)

    def need(self, case: Hashable) -> float | None:
        """Bytes of a card that a run of a case is taken to need; None where nothing is known."""
        peak = self.of(case)
        return None if peak is None else needed(peak)

    def learn(self, case: Hashable, peak: float | None) -> None:
        """Keep a peak that was seen, where it is larger than those before."""
        if peak is not None and peak > 0:
            with self._lock:
                self._known[case] = max(peak, self._known.get(case, 0.0))

    def recall(self, folder: Path) -> None:
        """Learn what an earlier command has left in a report's folder; nothing where that can't be read."""
        for case, peak in _read(folder / _FILE).get(self._device, {}).items():
            self.learn(case, peak)

    def keep(self, folder: Path) -> None:
        """Leave what is known in a report's folder, beside what is known of other devices."""
        with self._lock:
            own = {str(case): peak for case, peak in sorted(self._known.items(), key=str)}
        write_text(folder / _FILE, encode_value({**_read(folder / _FILE), self._device: own}))


class CardRoom:
    """What is free on some cards, and who waits for it.

    Args:
        free: each card's name, or the names of a run's several with commas between → bytes that are free on each.
        variable: the environment variable that shows a process its cards.
        need: bytes that a task takes on a card; None where nobody knows, and it gets one for itself.
    """

    def __init__(self, free: Mapping[str, float], variable: str, need: Callable[[Any], float | None]) -> None:
        self._free = dict(free)
        self._runs = dict.fromkeys(free, 0)
        self._variable, self._need = variable, need
        self._changed = threading.Condition()

    @contextmanager
    def place(self, task: Any, slot: Slot) -> Iterator[Slot]:
        """The slot on a card that has room for a task, held while it is entered.

        Where the command ends while a task waits, it gets no card.
        """
        with self._changed:
            while (found := self._find(self._need(task))) is None and not slot.stop.is_set():
                self._changed.wait(_LOOKING)
            if found is not None:
                card, taken = found
                self._free[card] -= taken
                self._runs[card] += 1
        if found is None:
            yield slot
            return
        try:
            yield replace(slot, card=card, environment={**slot.environment, self._variable: card})
        finally:
            with self._changed:
                self._free[card] += taken
                self._runs[card] -= 1
                self._changed.notify_all()

    def _find(self, need: float | None) -> tuple[str, float] | None:
        """The card with the fewest runs that has room, and what is taken of it; an idle one always has."""
        for card in sorted(self._free, key=lambda card: (self._runs[card], -self._free[card])):
            if not self._runs[card]:
                return card, self._free[card] if need is None else need
            if need is not None and need <= self._free[card]:
                return card, need
        return None


def find_room(choice: DeviceChoice, jobs: int, processes: int, need: Callable[[Any], float | None]) -> CardRoom | None:
    """The room on this machine's cards; None where runs aren't placed by it.

    Args:
        choice: the device.
        jobs: how many runs are asked for; ``AUTO`` alone is as many as fit.
        processes: of each run.
        need: bytes that a task takes on a card; None where nobody knows.
    """
    if jobs != AUTO or choice.type.is_host or choice.emulated:
        return None
    free = free_of(choice, processes)
    return CardRoom(free, choice.type.visible_variable, need) if free else None


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        return read_value(path, dict[str, dict[str, float]], RunError) if path.exists() else {}
    except AlignmentError:
        return {}  # it only says how many run beside each other
