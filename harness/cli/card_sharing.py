"""How `--jobs auto` shares cards among the cases of a command: by what each took before."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.devices.choice import DeviceChoice
from harness.running.card_room import CardRoom, Peaks, find_room, peak_of
from harness.running.pool import Slot
from harness.values.errors import AlignmentError
from harness.values.result import Result

if TYPE_CHECKING:
    from harness.values.case import Case

__all__ = ["CardSharing"]


class CardSharing:
    """What the cases of a command take of a card, and the room on the cards where they are placed by it.

    Args:
        choice: the device.
        tasks: what is to be done.
        options: of the whole command.
        case_of: tells a task's case, and the options that it is verified with.
    """

    def __init__(
        self,
        choice: DeviceChoice,
        tasks: Sequence[Any],
        options: argparse.Namespace,
        case_of: Callable[[Any], tuple[Case, argparse.Namespace]],
    ) -> None:
        self._folder: Path = options.out
        self._case_of = case_of
        self._peaks = Peaks(choice.name)
        self._room: CardRoom | None = None
        if getattr(options, "each_device", False):
            return  # each run has its card already
        self._room = find_room(
            choice, options.jobs, options.nproc_per_node, lambda task: self._peaks.need(_key(*case_of(task)))
        )
        if self._room is not None:
            self._peaks.recall(self._folder)
            for case, own in map(case_of, tasks):
                self._peaks.learn(_key(case, own), _recorded(case, own))

    @property
    def place(self) -> Callable[[Any, Slot], AbstractContextManager[Slot]] | None:
        """What places a task on a card; None where a slot has its own."""
        return self._room.place if self._room is not None else None

    def seen(self, task: Any, result: Result) -> Result:
        """Learn what a run took, before its card is given to another; the result itself."""
        self._peaks.learn(_key(*self._case_of(task)), peak_of(result.trace))
        return result

    def keep(self) -> None:
        """Leave what is known for the next command with this report's folder."""
        if self._room is not None:
            self._peaks.keep(self._folder)


def _key(case: Case, options: argparse.Namespace) -> str:
    """The case, with the options that change how much memory it takes."""
    words = ["amp"] * options.amp + ["forced"] * options.forced + [options.compile, *options.cfg_options]
    return " ".join([case.name, f"--shadow={options.shadow}", *filter(None, words)])


def _recorded(case: Case, options: argparse.Namespace) -> float | None:
    """Bytes that a case's tensors took on the reference; None where that is a host, which counts other things."""
    from harness.baseline_folders.baseline_places import choose_place, places_to_read
    from harness.devices.device_registry import type_of_kind
    from harness.running.cases import is_own
    from harness.store.baselines import load_baseline

    if options.no_baseline or options.cfg_options:
        return None
    try:
        reference = options.reference or case.reference
        place = choose_place(places_to_read(options.baseline_dir, own=is_own(case)), case.name, reference)
        baseline = load_baseline(place, case.name, reference)
        if type_of_kind(baseline.provenance.device.kind).is_host:
            return None
    except AlignmentError:
        return None  # the run itself will say so
    peaks = [peak_of(run) for runs in baseline.tiers.values() for run in runs]
    return max((peak for peak in peaks if peak is not None), default=None)
