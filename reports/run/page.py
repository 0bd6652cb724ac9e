"""The page of one case."""

from __future__ import annotations

from harness.values.result import Result
from harness.values.terms import Against
from harness.values.verdict import Verdict
from reports.drawing.case_figures import hero_of, multiples_of
from reports.drawing.curves import curves_of
from reports.results.invocations import describe
from reports.run.environment import render
from reports.run.finding_rows import SHOWN, findings_lead, findings_rest, in_order
from reports.run.origins import agreeing_settings, origins
from reports.run.tiles import tiles_of
from reports.shadow.heatmap import CLASSES
from reports.shadow.shadow_section import shadow_section
from reports.words.terms_words import QUESTIONS, asked_lines, weaknesses

__all__ = ["render_case"]


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
    left_out = {curve.signal for curve in others} - {each.signal for each in drawn}
    findings = in_order(verdict)
    return render(
        "case.html.j2",
        title=_title(result),
        script_source="",
        case=result.case,
        verdict=verdict.status.value,
        tone=verdict.status.value.lower(),
        reason=verdict.reason,
        question=QUESTIONS[result.terms.against],
        weaknesses=weaknesses(result.terms),
        asked=asked_lines(result.terms),
        invocation=describe(result.invocation) if result.invocation is not None else "",
        sides=_sides(result),
        emulated=result.emulated,
        tiles=tiles_of(result),
        hero=hero_of(loss) if loss is not None else None,
        multiples=drawn,
        undrawn=", ".join(curve.signal for curve in others if curve.signal in left_out),
        findings=findings[:SHOWN],
        findings_lead=findings_lead(verdict),
        more_findings=findings[SHOWN:],
        more_summary=findings_rest(verdict),
        shadow=shadow_section(verdict.shadow, result.reproductions),
        heat_classes=CLASSES,
        agreements=sorted(verdict.agreements, key=lambda row: (row.agrees, not row.required)),
        comparable_heading=_comparable_heading(verdict),
        legacy=verdict.legacy,
        legacy_heading=_legacy_heading(verdict),
        baseline_note=_baseline_note(result),
        origins=origins(reference, result.candidate),
        no_origins=_no_origins(result),
        settings=agreeing_settings(reference, result.candidate),
        logs=result.terms.against is Against.LOGS,
        accuracy=result.terms.against in {Against.ANSWERS, Against.ACCURACIES},
        read=[finding.message for finding in result.verdict.findings if finding.rule == "reading"],
        advice=next((finding.message for finding in result.verdict.findings if finding.rule == "next step"), ""),
        command=result.command,
        output=result.output,
        log="output.log" if result.log else "",
        has_trace=result.trace is not None,
    )


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
    if result.trace is None:
        return "No run said where it came from, and no baseline was read."
    return "Neither side says where it comes from."
