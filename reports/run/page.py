"""The page of one case."""

from __future__ import annotations

from harness.values.result import Result
from harness.values.terms import Against
from harness.values.verdict import Status, Verdict
from reports.drawing.case_figures import Hero, heroes_of, multiples_of
from reports.drawing.curves import Curve, curves_of
from reports.results.invocations import describe
from reports.run.environment import render
from reports.run.finding_rows import findings_lead, findings_rest, findings_shown, in_order
from reports.run.made_line import made_line
from reports.run.next_steps import next_steps
from reports.run.origins import agreeing_settings, sides_of
from reports.run.tiles import tiles_of
from reports.shadow.heatmap import CLASSES
from reports.shadow.shadow_section import shadow_section
from reports.words.headline import headline
from reports.words.terms_words import QUESTIONS, asked_lines, weaknesses

__all__ = ["render_case"]

_IN_SIGHT = 3
"""Small drawings of violated signals, where one large one stands alone: a row of them; the others fold away."""

_LINES = 25
"""Of the end of a run's output; its log has them all."""


def render_case(result: Result) -> str:
    """The page of a case: one HTML document that needs neither network nor script.

    Args:
        result: any; whatever it lacks (trace, baseline, provenance) the page says so.
    """
    verdict = result.verdict
    reference = result.baseline.provenance if result.baseline is not None else None
    heroes, others = _figures(result)
    drawn = multiples_of(others)
    violated = sum(curve.violation is not None for curve in others)
    open_ones = min(_IN_SIGHT, violated) if len(heroes) < 2 else 0
    left_out = {curve.signal for curve in others} - {each.signal for each in drawn}
    findings, shown = in_order(verdict), findings_shown(verdict)
    differing, alike = sides_of(verdict.agreements, reference, result.candidate)
    compared = {row.what for row in verdict.agreements}
    output = result.output.rstrip().splitlines()
    said = headline(verdict)
    return render(
        "case.html.j2",
        title=_title(result),
        script_source="",
        case=result.case,
        verdict=verdict.status.value,
        tone=verdict.status.value.lower(),
        headline=said,
        reason=verdict.reason if verdict.reason != said else "",
        question=QUESTIONS[result.terms.against],
        weaknesses=weaknesses(result.terms),
        asked=asked_lines(result.terms),
        invocation=_invocation(result),
        sides=_sides(result),
        made=made_line(result),
        emulated=result.emulated,
        tiles=tiles_of(result),
        heroes=heroes,
        multiples=drawn[:open_ones],
        more_multiples=drawn[open_ones:],
        judged=bool(verdict.envelopes),
        undrawn=", ".join(curve.signal for curve in others if curve.signal in left_out),
        findings=findings[:shown],
        findings_lead=findings_lead(verdict),
        more_findings=findings[shown:],
        more_summary=findings_rest(verdict),
        shadow_first=_decided_by_shadow_ops(result),
        shadow=shadow_section(verdict.shadow, result.reproductions),
        heat_classes=CLASSES,
        differing=differing,
        alike=alike,
        comparable_heading=_comparable_heading(verdict),
        legacy=verdict.legacy,
        legacy_heading=_legacy_heading(verdict),
        baseline_note=_baseline_note(result),
        no_origins=_no_origins(result),
        settings=[pair for pair in agreeing_settings(reference, result.candidate) if pair[0] not in compared],
        logs=result.terms.against is Against.LOGS,
        accuracy=result.terms.against in {Against.ANSWERS, Against.ACCURACIES},
        read=[finding.message for finding in result.verdict.findings if finding.rule == "reading"],
        advice=next((finding.message for finding in result.verdict.findings if finding.rule == "next step"), ""),
        steps=next_steps(result),
        command=result.command,
        output="\n".join(output[-_LINES:]),
        lines_left_out=max(0, len(output) - _LINES),
        log="output.log" if result.log else "",
        has_trace=result.trace is not None,
    )


def _figures(result: Result) -> tuple[tuple[Hero, ...], tuple[Curve, ...]]:
    """The figure that decides and the loss, large; and the other signals.

    What decides is the signal that was violated first; where that is the loss, or nothing was, the loss stands alone.
    """
    curves = curves_of(result)
    loss = next((curve for curve in curves if curve.signal == "loss"), None)
    violated = [curve for curve in curves if curve.violation is not None and curve.violation.iteration is not None]
    first = min(violated, key=_violated_at, default=loss)
    if first is None:
        return (), curves
    if loss is None or (loss.violation is not None and _violated_at(loss) <= _violated_at(first)):
        first = loss or first
    large = [first] if loss is None or first is loss else [first, loss]
    modest = result.verdict.status is Status.ERROR
    return heroes_of(tuple(large), modest=modest), tuple(curve for curve in curves if curve not in large)


def _invocation(result: Result) -> str:
    """Which call of a command it belongs to; with its command where that isn't what the page has already."""
    invocation = result.invocation
    if invocation is None:
        return ""
    return invocation.label if invocation.command == result.command else describe(invocation)


def _decided_by_shadow_ops(result: Result) -> bool:
    """Whether a FAIL is one by shadow ops, and no signal that has a curve is violated: the heat map decides."""
    verdict = result.verdict
    if verdict.status is not Status.FAIL or verdict.shadow is None or not verdict.shadow.violations:
        return False
    return not any(each.signal in verdict.envelopes for each in verdict.violations)


def _violated_at(curve: Curve) -> int:
    return curve.violation.iteration or 0 if curve.violation is not None else 0


def _title(result: Result) -> str:
    parts = [result.verdict.status.value, result.case] + (["EMULATED"] if result.emulated else [])
    return " · ".join(parts)


def _sides(result: Result) -> str:
    candidate, baseline = result.candidate, result.baseline
    if result.terms.against in {Against.ANSWERS, Against.ACCURACIES}:
        return " ".join(
            f"Candidate: {row.candidate}. Reference: {row.reference}."
            for row in result.verdict.agreements
            if row.what == "device"
        )
    asked = result.terms.against is not Against.HOST
    silent = "unknown, no run said what it ran on" if result.trace is None else "not stated"
    ran = silent if candidate is None else f"{candidate.device.label}, {candidate.device.name}"
    judged = "not stated" if result.verdict.envelopes else "none was read" if asked else "none was asked"
    if result.terms.against is Against.LOGS and candidate is None and baseline is None:
        said = {row.what: row for row in result.verdict.agreements}.get("device")
        return f"Candidate: {said.candidate}. Reference: {said.reference}." if said is not None else ""
    if baseline is not None:
        device = baseline.provenance.device
        judged = f"{device.label}, {device.name}"
    return f"Candidate: {ran}. Reference: {judged}."


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
    said = f": {verdict.legacy.verdict}" if verdict.legacy is not None else ""
    return f"What the legacy rule says{said}"


def _baseline_note(result: Result) -> str:
    baseline = result.baseline
    if baseline is None:
        return "No baseline was read." if result.terms.against is not Against.HOST else "No baseline was asked."
    runs = ", ".join(f"{len(runs)} at {tier}" for tier, runs in baseline.tiers.items())
    recorded = f"recorded {baseline.recorded} on {baseline.reference} ({runs}): {baseline.reason}"
    return f"Judged against healthy runs {recorded}."


def _no_origins(result: Result) -> str:
    if result.candidate is not None or result.baseline is not None:
        return ""
    if result.trace is None:
        return "No run said where it came from, and no baseline was read."
    return "Neither side says where it comes from."
