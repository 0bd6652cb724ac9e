"""What a gate decides of a case's verdict, by what a policy demands. Pure: the clock and the runs are elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from harness.policy.policy_values import BaselineTerms, CaseTerms, KnownDeviation
from harness.rules.causes import causes_of
from harness.values.baseline import Baseline
from harness.values.errors import BaselineError
from harness.values.verdict import Status, Verdict

__all__ = ["Decision", "decide", "require_baseline"]


@dataclass(frozen=True)
class Decision:
    """What a gate makes of one case.

    Args:
        case: its name.
        status: of its verdict.
        counts: the status that it has for the gate: PASS where it is excused, or nothing depends on it.
        words: why, a sentence.
        excuse: what JUnit says of a case that is excused or advisory; empty for none.
        notes: what is to be done although nothing fails.
    """

    case: str
    status: Status
    counts: Status
    words: str
    excuse: str = ""
    notes: tuple[str, ...] = ()


def decide(terms: CaseTerms, verdict: Verdict, known: Sequence[KnownDeviation], device: str, today: date) -> Decision:
    """What the gate makes of a verdict.

    Args:
        terms: what is demanded of the case.
        verdict: its last one, after any retry.
        known: the policy's known deviations.
        device: the candidate's, by name.
        today: the day.

    A FAIL is excused where each of its causes is covered by a deviation that is known for this case and device and
    hasn't expired: one that isn't covered is another fault. An ERROR or INCONCLUSIVE is never excused, since what
    didn't run may hide anything.
    """
    case, status = verdict.case, verdict.status
    ours = [one for one in known if one.case == case and one.applies_to(device)]
    if status is Status.PASS:
        notes = tuple(f"the known deviation of line {one.line} is not seen any more: remove it" for one in ours)
        return Decision(case, status, Status.PASS, "it passes, as demanded", notes=notes)
    if status is Status.FAIL and ours:
        said, excused = _excused(verdict, ours, today)
        if excused:
            return Decision(case, status, Status.PASS, said, excuse=said)
    else:
        said = f"it must pass, and is {status.value}"
    if not terms.required:
        said = f"nothing depends on it (required = false): it is {status.value}"
        return Decision(case, status, Status.PASS, said, excuse=said)
    return Decision(case, status, status, said)


def _excused(verdict: Verdict, known: Sequence[KnownDeviation], today: date) -> tuple[str, bool]:
    """Whether a FAIL is a known deviation alone, and the sentence that says so."""
    causes = causes_of(verdict)
    valid = [one for one in known if today <= one.expires]
    uncovered = [cause for cause in causes if not any(one.covers(cause) for one in valid)]
    if not uncovered:
        ours = [one for one in valid if any(one.covers(cause) for cause in causes)]
        said = "; ".join(f"{one.reason} ({one.owner}, until {one.expires})" for one in ours)
        return f"a known deviation: {said}", True
    expired = [one for one in known if one not in valid and any(one.covers(cause) for cause in uncovered)]
    if expired and all(any(one.covers(cause) for one in known) for cause in causes):
        said = "; ".join(f"{one.owner}: {one.reason}, excused until {one.expires}" for one in expired)
        return f"its known deviation has expired ({said})", False
    shown = "; ".join(uncovered[:3]) + (f" and {len(uncovered) - 3} more" if len(uncovered) > 3 else "")
    return f"it deviates otherwise than is known: {shown}", False


def require_baseline(baseline: Baseline, terms: BaselineTerms, now: datetime, command: str) -> None:
    """A baseline is young and broad enough.

    Args:
        baseline: that a case is to be judged by.
        terms: what is demanded of it.
        now: the time, with a zone.
        command: what records it anew.

    Raises:
        BaselineError: it isn't.
    """
    if terms.oldest_days is not None:
        recorded = datetime.fromisoformat(baseline.recorded)
        age = (now - recorded).total_seconds() / 86_400 if recorded.tzinfo else float("inf")
        if age > terms.oldest_days:
            raise BaselineError(
                "the baseline is older than the policy allows",
                where=baseline.where,
                observed=f"{age:.0f} days: recorded {baseline.recorded}",
                allowed=f"{terms.oldest_days:g} days",
                hint=command,
            )
    if terms.repeats is not None:
        fewest = min(baseline.tiers, key=lambda tier: len(baseline.tiers[tier]))
        if len(baseline.tiers[fewest]) < terms.repeats:
            raise BaselineError(
                "the baseline has fewer healthy runs than the policy demands",
                where=f"{baseline.where}, tier {fewest}",
                observed=len(baseline.tiers[fewest]),
                allowed=f"at least {terms.repeats}",
                hint=f"{command} --repeats {terms.repeats}",
            )
