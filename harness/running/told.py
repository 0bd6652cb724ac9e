"""An error on its way from a child process to the one that watches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.values.errors import AlignmentError, RunError

__all__ = ["Told"]


@dataclass(frozen=True)
class Told:
    """The fields of an ``AlignmentError`` as text, as ``error.json`` holds them."""

    SCHEMA: ClassVar[int] = 1

    what: str
    where: str | None = None
    observed: str | None = None
    allowed: str | None = None
    hint: str | None = None

    @classmethod
    def of(cls, error: AlignmentError) -> Told:
        """What an error says."""

        def text(value: object) -> str | None:
            return None if value is None else str(value)

        return cls(error.what, text(error.where), text(error.observed), text(error.allowed), error.hint)

    def as_error(self) -> RunError:
        """What the child says of why its run can't be made."""
        return RunError(self.what, where=self.where, observed=self.observed, allowed=self.allowed, hint=self.hint)
