"""What judging says: findings, the verdict that they add up to, and the exit code that it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from harness.shadow.evidence.checks import ShadowEvidence
from harness.values.bounds import Count
from harness.values.trace import FloatArray, IntArray

__all__ = ["Agreement", "Envelope", "Finding", "LegacyResult", "Outcome", "Status", "Verdict"]


class Status(str, Enum):
    """The four verdicts. Only PASS opens a gate."""

    PASS = "PASS"  # noqa: S105  # a verdict, no password
    FAIL = "FAIL"
    ERROR = "ERROR"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        """0 PASS, 1 FAIL, 2 ERROR, 3 INCONCLUSIVE."""
        return {"PASS": 0, "FAIL": 1, "ERROR": 2, "INCONCLUSIVE": 3}[self.value]


class Outcome(str, Enum):
    """What one rule says of one signal."""

    PASS = "pass"  # noqa: S105  # an outcome, no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """What one rule found in one signal.

    Args:
        rule: the rule's name.
        status: what it says.
        signal: the signal or tensor that it looked at.
        message: one sentence, with its numbers, for a person.
        iteration: of the first violation; without one, where the signal came closest to its bound.
        observed: the deviation there (relative to the reference, signed, 0.01 = 1 % above it).
        allowed: the largest |deviation| that a healthy run may have there.
        smallest_detectable: the smallest |relative deviation|, at the best iteration, that the rule would have called.
        tier: the precision tier whose spread the bound comes from.
    """

    rule: str
    status: Outcome
    signal: str
    message: str
    iteration: Count | None = None
    observed: float | None = None
    allowed: float | None = None
    smallest_detectable: float | None = None
    tier: str = ""


@dataclass(frozen=True, eq=False)
class Envelope:
    """The bounds that healthy runs of a signal stay in, and the candidate in them. For plots and findings.

    Args:
        signal: name.
        tier: whose ensemble it was drawn from.
        iterations: (T,).
        center: (T,) geometric mean of the healthy runs.
        allowed: (T,) largest relative deviation of a healthy run from the center.
        candidate: (T,) the candidate's values.
        deviation: (T,) candidate / center − 1.
    """

    signal: str
    tier: str
    iterations: IntArray
    center: FloatArray
    allowed: FloatArray
    candidate: FloatArray
    deviation: FloatArray


@dataclass(frozen=True)
class Agreement:
    """One row of the comparability table.

    Args:
        what: the property, for example ``initial weights``.
        reference: its value on the reference's side, as text.
        candidate: its value on the candidate's side, as text.
        required: whether two runs must agree in it to be comparable.
        agrees: whether they do.
    """

    what: str
    reference: str
    candidate: str
    required: bool
    agrees: bool


@dataclass(frozen=True)
class LegacyResult:
    """The seeds' script's answer: always reported, never sufficient.

    Args:
        mean_relative_error: signed, mean((candidate − reference) / reference).
        mean_absolute_error: signed, mean(candidate − reference).
        verdict: ``pass`` or ``fail``.
        lines: the four lines that the script prints, to the digit.
    """

    mean_relative_error: float
    mean_absolute_error: float
    verdict: str
    lines: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Verdict:
    """The answer, with its evidence.

    Args:
        case: the case's name.
        status: PASS, FAIL, INCONCLUSIVE or ERROR.
        reason: the one sentence why.
        findings: what each rule found, violations first.
        agreements: the comparability table.
        legacy: the seeds' rule beside it; None where there was nothing to compare.
        aligned_tier: the tightest precision tier at which the candidate is aligned; empty for none.
        demanded_tier: the tier that the case demands.
        envelopes: signal → envelope at the tier that the verdict was reached on.
        shadow: what shadow ops say; None where none ran.
    """

    case: str
    status: Status
    reason: str
    findings: tuple[Finding, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    legacy: LegacyResult | None = None
    aligned_tier: str = ""
    demanded_tier: str = ""
    envelopes: Mapping[str, Envelope] = field(default_factory=dict)
    shadow: ShadowEvidence | None = None

    @property
    def violations(self) -> tuple[Finding, ...]:
        """The findings that failed, in the order of their iterations."""
        failed = [finding for finding in self.findings if finding.status is Outcome.FAIL]
        return tuple(sorted(failed, key=lambda finding: (finding.iteration is None, finding.iteration or 0)))
