"""What a policy says, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from harness.values.errors import AlignmentError

__all__ = ["BaselineTerms", "CaseTerms", "KnownDeviation", "Policy", "PolicyError"]


class PolicyError(AlignmentError):
    """A policy is not valid. Found before anything runs; several are told together.

    Args:
        what: one sentence.
        others: further errors of the same file.
        **fields: of an AlignmentError.
    """

    def __init__(self, what: str, *, others: tuple[PolicyError, ...] = (), **fields: object) -> None:
        super().__init__(what, **fields)  # type: ignore[arg-type]  # as AlignmentError takes them
        self.others = others

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"and: {other}" for other in self.others)])


@dataclass(frozen=True)
class CaseTerms:
    """What is demanded of one case.

    Args:
        name: a case's name, or the path of a config.
        devices: on which it is demanded; on every one where empty.
        required: whether the gate depends on it; else it is judged and told.
        options: of ``align verify`` for this case: destination of the option → value.
    """

    name: str
    devices: tuple[str, ...] = ()
    required: bool = True
    options: Mapping[str, object] = field(default_factory=dict)

    def applies_to(self, device: str) -> bool:
        """Whether it is demanded on a device, by the device's name without its index."""
        return not self.devices or device in self.devices


@dataclass(frozen=True)
class KnownDeviation:
    """A deviation that is known, and excused for a time.

    Args:
        case: whose.
        causes: patterns of the causes that it has, as ``align history`` names them; ``*`` stands for anything.
        reason: why it is excused.
        owner: who is to mend it.
        expires: the last day on which it is excused.
        devices: on which; on every one where empty.
        line: where the file says it, from 1; 0 where unknown.
    """

    case: str
    causes: tuple[str, ...]
    reason: str
    owner: str
    expires: date
    devices: tuple[str, ...] = ()
    line: int = 0

    def covers(self, cause: str) -> bool:
        """Whether it excuses a cause."""
        return any(fnmatchcase(cause, pattern) for pattern in self.causes)

    def applies_to(self, device: str) -> bool:
        """Whether it is known on a device."""
        return not self.devices or device in self.devices


@dataclass(frozen=True)
class BaselineTerms:
    """What is demanded of a baseline.

    Args:
        oldest_days: how old it may be; any age where None.
        repeats: healthy runs that each tier has at least; as many as the case asks for where None.
    """

    oldest_days: float | None = None
    repeats: int | None = None


@dataclass(frozen=True)
class Policy:
    """What a project demands of a gate.

    Args:
        path: the file.
        defaults: options of ``align verify`` where the command line says nothing: destination → value.
        cases: what is demanded; all small cases where empty.
        known: deviations that are excused for a time.
        retries: how often an INCONCLUSIVE is tried again.
        case_seconds: how long a case may take; as long as ``--timeout`` says where None.
        gate_seconds: how long all cases may take together; any time where None.
        baselines: what is demanded of them.
    """

    path: Path
    defaults: Mapping[str, object] = field(default_factory=dict)
    cases: tuple[CaseTerms, ...] = ()
    known: tuple[KnownDeviation, ...] = ()
    retries: int = 0
    case_seconds: float | None = None
    gate_seconds: float | None = None
    baselines: BaselineTerms = field(default_factory=BaselineTerms)
