"""How many cards a device has, and what is free on each, told by a process of its own: asking opens the device."""

from __future__ import annotations

from collections.abc import Sequence

from harness.devices.choice import choose_device
from harness.running.lifeline import die_with_parent

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Print the bytes that are free on each card, where the device tells them and a run's peak, and how many there are.

    Args:
        arguments: the device's name.
    """
    die_with_parent()
    device_type = choose_device(arguments[0]).type
    device_type.install("", ())
    device_type.load()
    count = device_type.count()
    free = [device_type.free_memory(index) for index in range(count)] if device_type.peak_memory() is not None else []
    print(f"free: {' '.join(f'{each:.0f}' for each in free if each is not None)}")
    print(f"cards: {count}")
    return 0
