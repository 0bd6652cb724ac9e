"""An invocation: one call of a command, which its results belong to."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Invocation"]


@dataclass(frozen=True)
class Invocation:
    """One call of a command: two results are of one gate where they have the same.

    Args:
        id: unique, 32 hexadecimal digits.
        started: UTC time, ISO 8601.
        command: the command line.
        machine: the host's name.
        version: of this project.
        commit: of this project's checkout; empty outside of one, ends with "-dirty" where files were changed.
        cases: the cases that it is to judge, in their order.
    """

    id: str
    started: str
    command: str = ""
    machine: str = ""
    version: str = ""
    commit: str = ""
    cases: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """When and where, in a few words."""
        where = f" on {self.machine}" if self.machine else ""
        return f"{self.started}{where} ({self.id[:8]})"
