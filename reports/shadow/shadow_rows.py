"""Rows of the tables that show shadow ops, worded."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from harness.shadow.evidence.checks import Coverage, EffectivePrecision, ShadowEvidence, ShadowRow
from harness.shadow.evidence.reproduction import Reproduction
from reports.shadow.heatmap import stage_of
from reports.words.shadow_words import amount, row_words
from reports.words.wording import NOTHING, multiple, relative

__all__ = [
    "CallRow",
    "PrecisionRow",
    "ProgramRow",
    "StageRow",
    "UncheckedRow",
    "call_row",
    "precision_row",
    "program_row",
    "stage_rows",
    "unchecked_rows",
]


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
    """An operation with calls that were not checked, worded, and the modules that they are in."""

    op: str
    calls: str
    share: str
    why: str
    modules: tuple[str, ...] = ()


def call_row(number: int, row: ShadowRow, again: Mapping[tuple[str, str, str, str], Reproduction]) -> CallRow:
    """A row of the step, worded; ``again`` finds its reproduction by part, operation, tensor and module."""
    bounded = math.isfinite(row.allowed_projection)
    found = again.get((row.part.value, row.op, row.tensor, row.module))
    return CallRow(
        number=number,
        words=row_words(row),
        error=amount(row, row.error),
        allowed=amount(row, row.allowed),
        projection=relative(row.projection, signed=True) if bounded else NOTHING,
        allowed_projection=relative(row.allowed_projection) if bounded else NOTHING,
        times=_times(row),
        program=_place(found) if found is not None else "",
        note=found.note if found is not None else "",
    )


def program_row(found: Reproduction) -> ProgramRow:
    """A reproduction, worded."""
    where = ", ".join(filter(None, (found.module, found.op, found.tensor)))
    process = f", in process {found.rank}" if found.rank else ""
    return ProgramRow(f"{where or 'not told'}{process}", _place(found), found.note)


def _place(found: Reproduction) -> str:
    """The file of its program, beside the page."""
    return f"reproduce/{found.number}.py" if found.program else ""


def _times(row: ShadowRow) -> str:
    return multiple(row.excess, 1.0)


def stage_rows(evidence: ShadowEvidence) -> list[StageRow]:
    """Every stage of the model, in forward order."""
    groups: dict[str, list[ShadowRow]] = defaultdict(list)
    for row in evidence.rows:
        groups[stage_of(row.module)].append(row)
    return [_stage(stage, rows) for stage, rows in groups.items()]


def _stage(stage: str, rows: list[ShadowRow]) -> StageRow:
    worst = max(rows, key=lambda row: (row.violated, row.excess))
    return StageRow(
        stage=stage or "outside of modules",
        tensors=len(rows),
        violated=sum(row.violated for row in rows),
        closest=row_words(worst),
        times=_times(worst),
    )


def precision_row(precision: EffectivePrecision) -> PrecisionRow:
    """The effective precision of a family, worded."""
    bits = f"{precision.bits:.1f}" if math.isfinite(precision.bits) else NOTHING
    return PrecisionRow(precision.family, bits, precision.expected, precision.calls)


def unchecked_rows(coverage: Coverage) -> list[UncheckedRow]:
    """The operations with an unchecked call, the largest share of the step first; also what was skipped uncounted."""
    there = {**coverage.calls, **coverage.programs}
    missing = {op: calls - coverage.checked.get(op, 0) for op, calls in there.items()}
    missing = {op: count for op, count in missing.items() if count > 0} | {
        op: 0 for op in coverage.skipped if op not in there
    }
    return [
        UncheckedRow(
            op=op,
            calls=f"{count} of {there[op]}" if count else NOTHING,
            share=relative(count / coverage.total) if count else NOTHING,
            why=coverage.skipped.get(op, "not said"),
            modules=tuple(_in_module(*each) for each in coverage.unchecked.get(op, {}).items()),
        )
        for op, count in sorted(missing.items(), key=lambda item: -item[1])
    ]


def _in_module(module: str, calls: int) -> str:
    return f"{module or 'no module'} ({calls} times)" if calls > 1 else module or "no module"
