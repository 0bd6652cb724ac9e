"""Work side by side on one machine: so many things at once as there are slots, each with its part of the machine.

What runs are child processes that their callers watch, so threads are enough here: one a slot, each waiting for the
child that it started. The pool itself is the standard library's.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from harness.devices.choice import DeviceChoice
from harness.running.isolation import isolated_python
from harness.values.errors import DeviceError

__all__ = [
    "AUTO",
    "MEMORY_A_RUN",
    "MOST_A_CARD",
    "Slot",
    "cards_of",
    "free_of",
    "host_cores",
    "run_side_by_side",
    "slots_for",
]

AUTO = 0
"""As many jobs as the machine has room for."""

MEMORY_A_RUN = 2 * 2**30
"""Bytes of the host's memory that a small case on the processor is taken to need, where as many as fit are run."""

MOST_A_CARD = 4
"""Runs that share a card at most where as many as its memory holds are run: they share its time, too."""

_COUNTING = 120.0
"""Seconds that a device has to say how many cards it has: importing its package may compile."""

_Task = TypeVar("_Task")
_Made = TypeVar("_Made")


@dataclass(frozen=True, eq=False)
class Slot:
    """The part of a machine that one run has at a time.

    Args:
        number: from 0.
        card: the cards that a run there sees, as the device's own variable lists them; empty where it sees all.
        environment: what the run's process gets beside this process's variables.
        stop: set when the run is to end, whoever waits for it.
    """

    number: int = 0
    card: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)


def run_side_by_side(
    tasks: Sequence[_Task],
    work: Callable[[_Task, Slot], _Made],
    slots: Sequence[Slot],
    on_done: Callable[[int, _Made], None],
    place: Callable[[_Task, Slot], AbstractContextManager[Slot]] | None = None,
) -> None:
    """Do all tasks, and end what runs where this is interrupted or one of the two functions raises.

    Args:
        tasks: in the order in which they are begun.
        work: does one; called in a thread of its own where there are several slots. It returns soon after its slot's
            ``stop`` is set.
        slots: as many tasks run at once.
        on_done: called with the number of a task and what it made, as they end, in the caller's thread.
        place: finds the part of the machine that a task has while it is entered, and may wait for it; that of the slot
            without one.
    """
    if len(slots) == 1:
        for number, task in enumerate(tasks):
            on_done(number, work(task, slots[0]))
        return
    free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
    for slot in slots:
        free.put(slot)

    def done_in_a_slot(task: _Task) -> _Made:
        slot = free.get()
        try:
            with place(task, slot) if place is not None else nullcontext(slot) as placed:
                return work(task, placed)
        finally:
            free.put(slot)

    with ThreadPoolExecutor(len(slots), thread_name_prefix="slot") as executor:
        numbers = {executor.submit(done_in_a_slot, task): number for number, task in enumerate(tasks)}
        try:
            for ended in as_completed(numbers):
                on_done(numbers[ended], ended.result())
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)  # what waits is never begun
            for slot in slots:
                slot.stop.set()
            raise


def slots_for(choice: DeviceChoice, jobs: int, processes: int = 1, *, by_memory: bool = False) -> tuple[Slot, ...]:
    """The slots of a machine for runs on a device.

    One job is the machine as it is. Of several each sees cards of its own, by the device's own variable; where there
    are more jobs than cards, they share them. The host's cores are divided: the number of threads can change the order
    of sums, so a run's provenance tells it, and a user's own ``OMP_NUM_THREADS`` stays.

    Args:
        choice: the device; one with an index is the card of all jobs.
        jobs: how many runs at once; ``AUTO`` for one a card, on the processor as many as cores and memory allow.
        processes: of each run; each has a card.
        by_memory: whether the caller places each run on a card that has room for it (``card_room``): then several may
            share one.

    Raises:
        DeviceError: the device doesn't say how many cards it has.
    """
    on_host = choice.type.is_host or choice.emulated
    if jobs == 1:
        return (Slot(),)
    variable = choice.type.visible_variable
    named = cards_of(choice) if variable and choice.index is None else ()
    groups = [",".join(named[at : at + processes]) for at in range(0, len(named) - processes + 1, processes)]
    if jobs == AUTO and by_memory and not on_host and free_of(choice, processes):
        jobs = max(len(groups), min(MOST_A_CARD * len(groups), host_cores() // processes))
    elif jobs == AUTO:
        jobs = _as_fit_on_host(processes) if on_host else max(1, len(groups))
    threads = {"OMP_NUM_THREADS": str(max(1, host_cores() // (jobs * processes)))} if jobs > 1 else {}
    environment = {name: value for name, value in threads.items() if name not in os.environ}
    slots = []
    for number in range(jobs):
        card = groups[number % len(groups)] if groups else ""
        slots.append(Slot(number, card, {**environment, **({variable: card} if card else {})}))
    return tuple(slots)


def free_of(choice: DeviceChoice, processes: int = 1) -> dict[str, float]:
    """Bytes that are free on each card that this process sees, or on the fullest of each group of cards.

    Args:
        choice: the device.
        processes: of each run; each has a card.

    Returns:
        The names of a run's cards, with commas between → bytes; nothing where the device doesn't tell what is free or
        what a run took, or has no variable that shows cards.
    """
    if not choice.type.visible_variable or choice.index is not None:
        return {}
    _, free = _told_by(choice.name, os.environ.get(choice.type.visible_variable, ""))
    names = cards_of(choice)
    if len(free) != len(names):
        return {}
    starts = range(0, len(names) - processes + 1, processes)
    return {",".join(names[at : at + processes]): min(free[at : at + processes]) for at in starts}


def cards_of(choice: DeviceChoice) -> tuple[str, ...]:
    """The cards that this process sees, as the device's own variable names them; the numbers of all without it.

    Raises:
        DeviceError: the device can't be counted here.
    """
    listed = os.environ.get(choice.type.visible_variable, "") if choice.type.visible_variable else ""
    if names := tuple(name.strip() for name in listed.split(",") if name.strip()):
        return names
    told, _ = _told_by(choice.name, listed)
    if not told.isdecimal():
        raise DeviceError(
            f"the {choice.name} device doesn't say how many cards it has",
            where="--jobs",
            observed=told.strip() or f"no answer in {_COUNTING:.0f} s",
            hint="--jobs 1",
        )
    return tuple(str(number) for number in range(int(told)))


@lru_cache(maxsize=8)
def _told_by(device: str, shown: str) -> tuple[str, tuple[float, ...]]:
    """How many of the cards that it shows a device says that it has, or what it says else; and what is free on each."""
    command = isolated_python("harness.running.card_count:main", device)
    with suppress(subprocess.TimeoutExpired):  # asked in a process of its own: this one must not open the device
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_COUNTING)  # noqa: S603  # our own words
        if ended.returncode:
            return ended.stderr[-300:], ()
        free = ended.stdout.rpartition("free: ")[2].partition("\n")[0].split()
        told = ended.stdout.rpartition("cards: ")[2].strip()
        return told, tuple(float(each) for each in free if each.isdecimal())
    return "", ()


def host_cores() -> int:
    """The cores that this process may use."""
    with suppress(AttributeError):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _as_fit_on_host(processes: int) -> int:
    """As many runs as the host's cores and its free memory allow."""
    free = float("inf")
    with suppress(OSError, ValueError, IndexError), open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123  # a device file
        free = next(1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    by_memory = free // (MEMORY_A_RUN * processes)
    return max(1, int(min(host_cores() // processes, by_memory)))
