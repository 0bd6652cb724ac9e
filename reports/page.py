"""The page of one case."""

from __future__ import annotations

from dataclasses import dataclass

from harness.values.result import Result
from harness.values.verdict import Finding, Outcome, Verdict
from reports import wording
from reports.curves import curves_of
from reports.environment import render
from reports.figures import hero_of, multiples_of
from reports.origins import agreeing_settings, origins
from reports.record import planned_iterations

__all__ = ["render_case"]

_FINDINGS_SHOWN = 20

_ORDER = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2, Outcome.INFO: 3}


@dataclass(frozen=True)
class Tile:
    """One number that matters, with its name and what to make of it."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class FindingRow:
    """A finding, worded."""

    tone: str
    outcome: str
    rule: str
    tier: str
    signal: str
    iteration: str
    observed: str
    allowed: str
    used: str
    seen: str
    message: str


def render_case(result: Result) -> str:
    """The page of a case: one HTML document that needs neither network nor script.

    Args:
        result: any; whatever it lacks (trace, baseline, provenance) the page says so.
    """
    verdict = result.verdict
    reference = result.baseline.provenance if result.baseline is not None else None
    curves = curves_of(result)
    loss = next((curve for curve in curves if curve.signal == "loss"), None)
    others = tuple(curve for curve in curves if curve is not loss)
    drawn = multiples_of(others)
    rows = tuple(_finding_row(finding) for finding in _ordered(verdict))
    return render(
        "case.html.j2",
        title=_title(result),
        script_source="",
        case=result.case,
        verdict=verdict.status.value,
        tone=verdict.status.value.lower(),
        reason=verdict.reason,
        sides=_sides(result),
        emulated=result.emulated,
        tiles=_tiles(result),
        hero=hero_of(loss) if loss is not None else None,
        multiples=drawn,
        undrawn=", ".join(curve.signal for curve in others if curve.signal not in {each.signal for each in drawn}),
        findings=rows[:_FINDINGS_SHOWN],
        findings_lead=_findings_lead(verdict),
        more_findings=rows[_FINDINGS_SHOWN:],
        more_summary=_more_summary(verdict),
        agreements=sorted(verdict.agreements, key=lambda row: (row.agrees, not row.required)),
        comparable_heading=_comparable_heading(verdict),
        legacy=verdict.legacy,
        legacy_heading=_legacy_heading(verdict),
        baseline_note=_baseline_note(result),
        origins=origins(reference, result.candidate),
        no_origins="Neither side says where it comes from."
        if result.trace is not None
        else "The run ended before it said where it came from, and no baseline was read.",
        settings=agreeing_settings(reference, result.candidate),
        command=result.command,
        output=result.output,
        has_trace=result.trace is not None,
    )


def _title(result: Result) -> str:
    parts = [result.verdict.status.value, result.case] + (["EMULATED"] if result.emulated else [])
    return " · ".join(parts)


def _sides(result: Result) -> str:
    candidate, baseline = result.candidate, result.baseline
    silent = "unknown, the run ended before it said" if result.trace is None else "not stated"
    ran = silent if candidate is None else f"{candidate.device.label}, {candidate.device.name}"
    judged = "none was read"
    if baseline is not None:
        device = baseline.provenance.device
        judged = f"{device.label}, {device.name}"
    return f"Candidate: {ran}. Reference: {judged}."


def _tiles(result: Result) -> tuple[Tile, ...]:
    verdict = result.verdict
    done = len(result.trace) if result.trace is not None else 0
    planned = planned_iterations(result)
    short = result.trace is not None and not result.trace.complete
    violations, checks = len(verdict.violations), len(verdict.findings)
    seen, seen_where = _smallest_detectable(verdict)
    return (
        Tile(
            "Aligned at",
            verdict.aligned_tier or "no tier",
            f"the gate demands {verdict.demanded_tier}" if verdict.demanded_tier else "no tier was demanded",
        ),
        Tile("Violations", str(violations), f"of {checks} {'check' if checks == 1 else 'checks'}"),
        Tile("Smallest deviation it can see", wording.relative(seen), seen_where),
        Tile(
            "Iterations",
            str(done),
            (f"of {planned}" if planned is not None else "number planned unknown") + (", cut short" if short else ""),
        ),
        Tile(
            "Legacy rule", verdict.legacy.verdict if verdict.legacy is not None else wording.NOTHING, "never sufficient"
        ),
        Tile("Time", wording.duration(result.seconds), "run and judging"),
    )


def _smallest_detectable(verdict: Verdict) -> tuple[float | None, str]:
    """Of the loss, where a rule says it; else the smallest of all."""
    known = [finding for finding in verdict.findings if finding.smallest_detectable is not None]
    about = [finding for finding in known if finding.signal == "loss"] or known
    best = min(about, key=lambda finding: finding.smallest_detectable or 0.0, default=None)
    if best is None:
        return None, "no rule said"
    return best.smallest_detectable, f"of {best.signal}, by {best.rule}"


def _ordered(verdict: Verdict) -> list[Finding]:
    """Violations in the order of their iterations, then the undecided, then the rest as they were judged."""
    others = [finding for finding in verdict.findings if finding.status is not Outcome.FAIL]
    return [*verdict.violations, *sorted(others, key=lambda finding: _ORDER[finding.status])]


def _finding_row(finding: Finding) -> FindingRow:
    return FindingRow(
        tone=finding.status.value,
        outcome={"fail": "violated", "pass": "kept", "info": "noted"}.get(finding.status.value, "undecided"),
        rule=finding.rule,
        tier=finding.tier,
        signal=finding.signal,
        iteration=wording.NOTHING if finding.iteration is None else str(finding.iteration),
        observed=wording.relative(finding.observed, signed=True),
        allowed=wording.relative(finding.allowed),
        used=wording.multiple(finding.observed, finding.allowed),
        seen=wording.relative(finding.smallest_detectable),
        message=finding.message,
    )


def _findings_lead(verdict: Verdict) -> str:
    violations = len(verdict.violations)
    if not violations:
        return "No rule was violated."
    return f"{violations} of {len(verdict.findings)} checks {'was' if violations == 1 else 'were'} violated."


def _more_summary(verdict: Verdict) -> str:
    more = len(verdict.findings) - _FINDINGS_SHOWN
    violations = max(0, len(verdict.violations) - _FINDINGS_SHOWN)
    return f"{more} more findings" + (
        f", {violations} of them violations" if violations else ", none of them a violation"
    )


def _comparable_heading(verdict: Verdict) -> str:
    if not verdict.agreements:
        return "Are they the same experiment?"
    broken = sum(row.required and not row.agrees for row in verdict.agreements)
    if broken == 1:
        return "Not the same experiment: a property that must agree differs"
    if broken:
        return f"Not the same experiment: {broken} properties that must agree differ"
    return "The same experiment on both sides"


def _legacy_heading(verdict: Verdict) -> str:
    if verdict.legacy is None:
        return "What the legacy rule says"
    return f"What the legacy rule says: {verdict.legacy.verdict}"


def _baseline_note(result: Result) -> str:
    baseline = result.baseline
    if baseline is None:
        return "No baseline was read."
    runs = ", ".join(f"{len(runs)} at {tier}" for tier, runs in baseline.tiers.items())
    return (
        f"Judged against healthy runs recorded {baseline.recorded} on {baseline.reference} ({runs}): {baseline.reason}."
    )
