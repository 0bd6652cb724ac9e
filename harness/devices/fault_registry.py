"""Faults, as far as what serves a port knows them: something is named, and put into a kernel or a training.

What a fault does is no business of a port's: a package brings faults by an entry point, and this project's own package
brings its catalogue.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any, Protocol, cast

from harness.values.errors import UsageError

__all__ = ["ENTRY_POINTS", "Fault", "parse_fault"]

ENTRY_POINTS = "alignment_harness.faults"
"""The group of entry points that name a function ``text -> Fault``: ``name = "module:function"``."""


class Fault(Protocol):
    """A deliberately wrong kernel or setting."""

    @property
    def name(self) -> str:
        """What the command line calls it."""

    @property
    def in_kernels(self) -> bool:
        """Whether the device takes it when it is opened; else it is attached to the training."""

    def attach(self, runner: Any) -> None:
        """Put it into mmengine's Runner, built but not yet training."""


def parse_fault(text: str) -> Fault:
    """The fault that a text names, by the catalogue that is installed.

    Args:
        text: as ``--fault`` takes it.

    Raises:
        UsageError: the catalogue has no such fault, or none is installed.
    """
    for point in metadata.entry_points(group=ENTRY_POINTS):
        return cast("Fault", point.load()(text))
    raise UsageError(
        "no installed package brings faults",
        where="--fault",
        observed=text,
        allowed=f"an entry point of the group {ENTRY_POINTS}",
        hint="pip install --force-reinstall --no-deps alignment-harness",
    )
