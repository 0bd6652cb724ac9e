"""How many cards a device has, told by a process that ends with the answer: counting them opens the device."""

from __future__ import annotations

from collections.abc import Sequence

from harness.devices.choice import choose_device
from harness.running.lifeline import die_with_parent

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Print the number of cards.

    Args:
        arguments: the device's name.
    """
    die_with_parent()
    device_type = choose_device(arguments[0]).type
    device_type.install("", ())
    device_type.load()
    print(f"cards: {device_type.count()}")
    return 0
