"""The fault catalogue, as data: nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from harness.lab.faults.catalogue import (
    attention,
    blind,
    convolution,
    feeding,
    losses,
    memory,
    normalization,
    optimizer,
    shapes,
)
from harness.lab.faults.fault import Fault

__all__ = ["FAULTS"]

_AREAS = (convolution, normalization, shapes, attention, losses, memory, optimizer, feeding, blind)

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for area in _AREAS for fault in area.FAULTS})
"""Every fault, by name."""
