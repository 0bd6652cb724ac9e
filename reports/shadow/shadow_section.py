"""The part of a page that shows shadow ops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.shadow.evidence.cause import Cause
from harness.shadow.evidence.checks import Coverage, EffectivePrecision, ShadowEvidence, ShadowRow
from harness.shadow.evidence.reproduction import Reproduction
from reports.shadow.heatmap import Heatmap, draw_heatmap
from reports.shadow.shadow_rows import NumberedRow, StageRow, UncheckedRow, stage_rows, unchecked_rows
from reports.words.shadow_words import precisions_line, steps_words, worst_first
from reports.words.wording import relative

__all__ = ["ShadowSection", "shadow_section"]

_VIOLATIONS_SHOWN = 20
_CLOSEST_SHOWN = 5


@dataclass(frozen=True)
class ShadowSection:
    """What the section shows.

    Args:
        heading: its finding as a headline.
        lead: one sentence.
        causes: what the violations come from.
        violated: how many tensors are.
        heatmap: None where there is no row.
        description: the heat map in words.
        calls_caption: what the table of calls holds.
        calls: the violated, or where there are none those closest to their bounds.
        more: further violated ones, folded away.
        programs: every finding's reproduction.
        stages: a row a stage.
        precision_lead: the families of the tier in one sentence.
        precisions: a row a family.
        coverage_lead: how much was checked.
        unchecked: a row an operation that was not always checked.
        fallen_back: operations that the device left to its host.
    """

    heading: str
    lead: str
    causes: tuple[Cause, ...]
    violated: int
    heatmap: Heatmap | None
    description: str
    calls_caption: str
    calls: tuple[NumberedRow, ...]
    more: tuple[NumberedRow, ...]
    programs: tuple[Reproduction, ...]
    stages: tuple[StageRow, ...]
    precision_lead: str
    precisions: tuple[EffectivePrecision, ...]
    coverage_lead: str
    unchecked: tuple[UncheckedRow, ...]
    fallen_back: str


def shadow_section(evidence: ShadowEvidence | None, reproductions: Sequence[Reproduction] = ()) -> ShadowSection | None:
    """The section of some evidence; None where no step was shadowed.

    Args:
        evidence: of a run.
        reproductions: the calls behind its findings, whose programs lie beside the page.
    """
    if evidence is None:
        return None
    ranked = worst_first(evidence)
    violated = [row for row in ranked if row.violated]
    shown = violated[:_VIOLATIONS_SHOWN] or ranked[:_CLOSEST_SHOWN]
    again = {_key(each): each for each in reversed(reproductions)}
    stages = stage_rows(evidence)
    return ShadowSection(
        heading=_heading(evidence, len(violated)),
        lead=_lead(evidence, len(violated)),
        causes=evidence.causes,
        violated=len(violated),
        heatmap=draw_heatmap(evidence.rows, shown if violated else ()) if evidence.rows else None,
        description=_description(evidence, len(violated)),
        calls_caption=_calls_caption(len(violated)),
        calls=_numbered(shown, again, 1),
        more=_numbered(violated[len(shown) :], again, len(shown) + 1),
        programs=tuple(reproductions),
        stages=tuple(stages),
        precision_lead=_precision_lead(evidence),
        precisions=evidence.precisions,
        coverage_lead=_coverage_lead(evidence.coverage),
        unchecked=tuple(unchecked_rows(evidence.coverage)),
        fallen_back=", ".join(evidence.coverage.fallen_back),
    )


def _key(of: Reproduction | ShadowRow) -> tuple[str, str, str, str]:
    """By what a row finds its reproduction."""
    part = of.part.value if isinstance(of, ShadowRow) else of.part
    return part, of.op, of.tensor, of.module


def _numbered(
    rows: Sequence[ShadowRow], again: Mapping[tuple[str, str, str, str], Reproduction], first: int
) -> tuple[NumberedRow, ...]:
    return tuple(NumberedRow(number, row, again.get(_key(row))) for number, row in enumerate(rows, first))


def _heading(evidence: ShadowEvidence, violated: int) -> str:
    total = len(evidence.rows) + evidence.left_out
    if not total:
        return "Shadow ops: no operation was checked"
    if violated:
        return f"Shadow ops: {_of(violated, total)} too far from float64"
    return f"Shadow ops: every tensor as close to float64 as {evidence.tier} lets it"


def _lead(evidence: ShadowEvidence, violated: int) -> str:
    total = len(evidence.rows) + evidence.left_out
    if not total:
        return "No step was shadowed, so no operation was held against float64."
    where = f"Of {steps_words(evidence.iterations)}, each operation was computed again in float64 on the host"
    where += ", from the inputs that the candidate had"
    if violated:
        return f"{where}. What is violated is further off than a healthy {evidence.tier} kernel's."
    return f"{where}; all {total} tensors are as close as a healthy {evidence.tier} kernel's."


def _of(violated: int, total: int) -> str:
    return f"{violated} of {total} tensors {'is' if violated == 1 else 'are'}"


def _description(evidence: ShadowEvidence, violated: int) -> str:
    modules = len({row.module for row in evidence.rows})
    left = f" {evidence.left_out} tensors that are well within their bounds are not drawn." if evidence.left_out else ""
    return (
        f"Heat map of {modules} modules in forward order against operations. {violated} of {len(evidence.rows)} "
        f"tensors drawn are violated.{left} The tables below say the same in words."
    )


def _calls_caption(violated: int) -> str:
    if not violated:
        return "None is violated; the closest to their bounds"
    if violated > _VIOLATIONS_SHOWN:
        return f"The worst {_VIOLATIONS_SHOWN} of {violated} violated tensors"
    return "The violated tensor" if violated == 1 else f"The {violated} violated tensors, the worst first"


def _precision_lead(evidence: ShadowEvidence) -> str:
    line = precisions_line(evidence.precisions)
    said = f"This device's effective precision: {line}. " if line else ""
    return f"{said}Explicit mantissa bits, by the median error of a family's calls; float32 has 23."


def _coverage_lead(coverage: Coverage) -> str:
    calls, checked = coverage.total, sum(coverage.checked.values())
    if not calls:
        return "No call was seen."
    if checked == calls:
        return f"All {calls} calls of {len(coverage.calls)} operations were checked."
    return f"{checked} of {calls} calls were checked ({relative(coverage.rate)}). What was not counts against coverage."
