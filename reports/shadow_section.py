"""The part of a page that shows shadow ops."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.values.reproduction import Reproduction
from harness.values.shadow import Coverage, EffectivePrecision, ShadowEvidence, ShadowRow
from reports.heatmap import Heatmap, draw_heatmap, stage_of
from reports.shadow_words import precisions_line, row_words, steps_words, worst_first
from reports.wording import NOTHING, multiple, relative

__all__ = ["CallRow", "ShadowSection", "shadow_section"]

_VIOLATIONS_SHOWN = 20
_CLOSEST_SHOWN = 5
_STAGES_SHOWN = 40


@dataclass(frozen=True)
class CallRow:
    """The worst call of a tensor, worded; ``program`` is the file that makes it again, ``note`` what is said of it."""

    number: int
    words: str
    error: str
    allowed: str
    projection: str
    allowed_projection: str
    times: str
    program: str
    note: str


@dataclass(frozen=True)
class ProgramRow:
    """A reproduction, worded; ``program`` is empty where there is none, and ``note`` says why."""

    words: str
    program: str
    note: str


@dataclass(frozen=True)
class StageRow:
    """A stage of the model, worded: what the heat map shows, for those who can't see it."""

    stage: str
    tensors: int
    violated: int
    closest: str
    times: str


@dataclass(frozen=True)
class PrecisionRow:
    """The effective precision of a family, worded."""

    family: str
    bits: str
    expected: int
    calls: int


@dataclass(frozen=True)
class UncheckedRow:
    """An operation with calls that were not checked, worded."""

    op: str
    calls: str
    share: str
    why: str


@dataclass(frozen=True)
class ShadowSection:
    """What the section shows.

    Args:
        heading: its finding as a headline.
        lead: one sentence.
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
    heatmap: Heatmap | None
    description: str
    calls_caption: str
    calls: tuple[CallRow, ...]
    more: tuple[CallRow, ...]
    programs: tuple[ProgramRow, ...]
    stages: tuple[StageRow, ...]
    precision_lead: str
    precisions: tuple[PrecisionRow, ...]
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
    again = {(each.part, each.op, each.tensor, each.module): each for each in reproductions}
    stages = _stages(evidence)
    return ShadowSection(
        heading=_heading(evidence, len(violated)),
        lead=_lead(evidence, len(violated)),
        heatmap=draw_heatmap(evidence.rows, shown if violated else ()) if evidence.rows else None,
        description=_description(evidence, len(violated)),
        calls_caption=_calls_caption(len(violated)),
        calls=tuple(_call(number, row, again) for number, row in enumerate(shown, 1)),
        more=tuple(_call(number, row, again) for number, row in enumerate(violated[len(shown) :], len(shown) + 1)),
        programs=tuple(map(_program, reproductions)),
        stages=tuple(stages),
        precision_lead=_precision_lead(evidence),
        precisions=tuple(map(_precision, evidence.precisions)),
        coverage_lead=_coverage_lead(evidence.coverage),
        unchecked=tuple(_unchecked(evidence.coverage)),
        fallen_back=", ".join(evidence.coverage.fallen_back),
    )


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


def _call(number: int, row: ShadowRow, again: Mapping[tuple[str, str, str, str], Reproduction]) -> CallRow:
    bounded = math.isfinite(row.allowed_projection)
    found = again.get((row.part.value, row.op, row.tensor, row.module))
    return CallRow(
        number=number,
        words=row_words(row),
        error=relative(row.error),
        allowed=relative(row.allowed),
        projection=relative(row.projection, signed=True) if bounded else NOTHING,
        allowed_projection=relative(row.allowed_projection) if bounded else NOTHING,
        times=_times(row),
        program=_place(found) if found is not None else "",
        note=found.note if found is not None else "",
    )


def _program(found: Reproduction) -> ProgramRow:
    where = ", ".join(filter(None, (found.module, found.op, found.tensor)))
    return ProgramRow(where or "not told", _place(found), found.note)


def _place(found: Reproduction) -> str:
    """The file of its program, beside the page."""
    return f"reproduce/{found.number}.py" if found.program else ""


def _times(row: ShadowRow) -> str:
    return multiple(row.excess, 1.0)


def _stages(evidence: ShadowEvidence) -> list[StageRow]:
    """Every stage that has a violation, and of the others as many as can be read, in forward order."""
    groups: dict[str, list[ShadowRow]] = defaultdict(list)
    for row in evidence.rows:
        groups[stage_of(row.module)].append(row)
    broken = [stage for stage, rows in groups.items() if any(row.violated for row in rows)]
    kept = {*broken, *list(groups)[:_STAGES_SHOWN]}
    return [_stage(stage, rows) for stage, rows in groups.items() if stage in kept]


def _stage(stage: str, rows: list[ShadowRow]) -> StageRow:
    worst = max(rows, key=lambda row: (row.violated, row.excess))
    return StageRow(
        stage=stage or "outside of modules",
        tensors=len(rows),
        violated=sum(row.violated for row in rows),
        closest=row_words(worst),
        times=_times(worst),
    )


def _precision_lead(evidence: ShadowEvidence) -> str:
    line = precisions_line(evidence.precisions)
    said = f"This device's effective precision: {line}. " if line else ""
    return f"{said}Explicit mantissa bits, by the median error of a family's calls; float32 has 23."


def _precision(precision: EffectivePrecision) -> PrecisionRow:
    bits = f"{precision.bits:.1f}" if math.isfinite(precision.bits) else NOTHING
    return PrecisionRow(precision.family, bits, precision.expected, precision.calls)


def _coverage_lead(coverage: Coverage) -> str:
    calls, checked = sum(coverage.calls.values()), sum(coverage.checked.values())
    if not calls:
        return "No call was seen."
    if checked == calls:
        return f"All {calls} calls of {len(coverage.calls)} operations were checked."
    return f"{checked} of {calls} calls were checked ({relative(coverage.rate)}). What was not counts against coverage."


def _unchecked(coverage: Coverage) -> list[UncheckedRow]:
    """The operations with an unchecked call, the largest share of the step first; also what was skipped uncounted."""
    total = sum(coverage.calls.values())
    missing = {op: calls - coverage.checked.get(op, 0) for op, calls in coverage.calls.items()}
    missing = {op: count for op, count in missing.items() if count > 0} | {
        op: 0 for op in coverage.skipped if op not in coverage.calls
    }
    return [
        UncheckedRow(
            op=op,
            calls=f"{count} of {coverage.calls[op]}" if count else NOTHING,
            share=relative(count / total) if count and total else NOTHING,
            why=coverage.skipped.get(op, "not said"),
        )
        for op, count in sorted(missing.items(), key=lambda item: -item[1])
    ]
