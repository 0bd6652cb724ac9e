"""After a run in which calls came out wrong: a child process asks the device calls like them, and makes them smaller.

It is a process of its own, since it may crash or hang where the device is wrong: the run is over and its verdict stands
without it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.running.folder import ASKED, FOLLOW_UP, ORDER, REPRODUCTIONS
from harness.running.isolation import isolated_python
from harness.running.lifeline import die_with_parent, watched
from harness.running.order import Order
from harness.running.pool import Slot
from harness.running.supervisor import end_supervisor

__all__ = ["FollowUp", "follow_up", "main"]

_BEYOND = 180.0
"""Seconds beyond what it may take that the child gets to start, and to end the call that it is at."""


@dataclass(frozen=True)
class FollowUp:
    """How long a run is followed up where calls came out wrong.

    Args:
        ask: seconds for calls like them; none are asked where 0.
        shrink: seconds for smaller ones; none are looked for where 0.
    """

    ask: float = 0.0
    shrink: float = 0.0


def follow_up(folder: Path, wanted: FollowUp, slot: Slot | None = None) -> None:
    """Follow up the run of a folder, where it kept calls that came out wrong. Never raises for what the child did.

    Args:
        folder: of the run; ``asked.jsonl`` comes there, and smaller reproductions take the place of those in it.
        wanted: how long.
        slot: the part of the machine that the run had; all of it without one.
    """
    if not wanted.ask + wanted.shrink or not any((folder / REPRODUCTIONS).glob("*.safetensors")):
        return
    slot = slot or Slot()
    words = [str(folder.resolve()), str(wanted.ask), str(wanted.shrink)]
    asking = isolated_python("harness.running.follow_up_process:main", *words)
    with (folder / FOLLOW_UP).open("wb") as output:
        child = subprocess.Popen(  # noqa: S603  # our own words
            isolated_python("harness.running.supervisor:main", str(folder / FOLLOW_UP), *asking),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **slot.environment, **watched()},
        )
        until = time.monotonic() + wanted.ask + wanted.shrink + _BEYOND
        try:
            while child.poll() is None and time.monotonic() < until and not slot.stop.is_set():
                time.sleep(0.05)
        finally:
            end_supervisor(child)


def main(arguments: Sequence[str]) -> int:
    """Follow up the run of a folder.

    Args:
        arguments: the folder, and the seconds of both.
    """
    die_with_parent()
    folder, ask, shrink = Path(arguments[0]), float(arguments[1]), float(arguments[2])
    from harness.devices.choice import choose_device
    from harness.devices.device_opening import open_device
    from harness.devices.fault_registry import parse_fault

    order = Order.read(folder / ORDER)
    faults = tuple(parse_fault(text) for text in order.faults)
    device = open_device(choose_device(order.device), order.profile, faults, trusted=order.trusted)

    import torch

    from harness.shadow.probing.follow_up import ask_again, shrink_kept

    torch.set_num_threads(1)  # the calls are small: threads cost more than they save
    kept, began = folder / REPRODUCTIONS, time.monotonic()
    if ask:
        with contextlib.suppress(FileExistsError):
            ask_again(kept, folder / ASKED, device.kind, ask)
        print(f"asked for {time.monotonic() - began:.1f} s")
    if shrink:
        began = time.monotonic()
        shrink_kept(kept, device.kind, shrink)
        print(f"made smaller in {time.monotonic() - began:.1f} s")
    return 0
