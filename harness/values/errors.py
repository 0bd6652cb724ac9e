"""Every error that this project raises on purpose.

AlignmentError
├── UsageError      the command line or an argument is not valid
├── CaseError       a config can't be found, loaded, or isn't a case
├── DataError       a data set is missing, incomplete or malformed
├── ModelError      a model's settings or weights contradict each other
├── DeviceError     a device, profile or fault isn't available here
├── TraceError      a loss trace breaks its format
├── LogError        a foreign training log can't be read
├── BaselineError   a baseline is missing, unreadable, edited or half-written
└── RunError        a run crashed, hung, or was cut short

An error says what is wrong, where, what was observed, what is allowed, and the next command to run. None of them is
ever a reason to pass: the command line ends with exit code 2 on each.
"""

from __future__ import annotations

__all__ = [
    "AlignmentError",
    "BaselineError",
    "CaseError",
    "DataError",
    "DeviceError",
    "LogError",
    "ModelError",
    "RunError",
    "TraceError",
    "UsageError",
]


class AlignmentError(Exception):
    """The root of the project's errors.

    Args:
        what: one sentence, without a full stop: what is wrong.
        where: the file, config field, log line or signal that it is wrong in.
        observed: what was found there.
        allowed: what would have been accepted; a list of names where there are few.
        hint: the next command to run, or the setting to change.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        observed: object = None,
        allowed: object = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.observed = observed
        self.allowed = allowed
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        for label in ("where", "observed", "allowed", "hint"):
            value = getattr(self, label)
            if value is not None:
                lines.append(f"  {label + ':':<9} {value}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the fields when an error crosses a process boundary (a plain Exception pickles its message alone)."""
        return _rebuild, (type(self), self.what, self.where, self.observed, self.allowed, self.hint)


def _rebuild(
    kind: type[AlignmentError], what: str, where: object, observed: object, allowed: object, hint: str | None
) -> AlignmentError:
    return kind(what, where=where, observed=observed, allowed=allowed, hint=hint)


class UsageError(AlignmentError):
    """The command line or an argument is not valid."""


class CaseError(AlignmentError):
    """A config can't be found, can't be loaded, or isn't a case."""


class DataError(AlignmentError):
    """A data set is missing, incomplete or malformed."""


class ModelError(AlignmentError):
    """A model's settings or weights contradict each other."""


class DeviceError(AlignmentError):
    """A device, a numerics profile or a fault isn't available here."""


class TraceError(AlignmentError):
    """A loss trace breaks its format."""


class LogError(AlignmentError):
    """A foreign training log can't be read."""


class BaselineError(AlignmentError):
    """A baseline is missing, unreadable, edited or half-written."""


class RunError(AlignmentError):
    """A run crashed, hung, or was cut short."""
