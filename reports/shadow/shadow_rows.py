"""What the tables of shadow ops add to the rows themselves: a number, a program, stages, and what was not checked."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from harness.shadow.evidence.checks import Coverage, ShadowEvidence, ShadowRow
from harness.shadow.evidence.reproduction import Reproduction
from reports.shadow.heatmap import stage_of

__all__ = ["NumberedRow", "StageRow", "UncheckedRow", "stage_rows", "unchecked_rows"]


@dataclass(frozen=True)
class NumberedRow:
    """A row with its number in the table, which the heat map has too, and the program that reproduces it."""

    number: int
    row: ShadowRow
    found: Reproduction | None


@dataclass(frozen=True)
class StageRow:
    """A stage of the model: what the heat map shows, for those who can't see it."""

    stage: str
    tensors: int
    violated: int
    worst: ShadowRow


@dataclass(frozen=True)
class UncheckedRow:
    """An operation with calls that were not checked.

    Args:
        op: the operation.
        missing: how many calls; 0 of what was skipped uncounted.
        there: how many there were.
        total: of all operations.
        why: not.
        modules: module → how many of them it made.
    """

    op: str
    missing: int
    there: int
    total: int
    why: str
    modules: tuple[tuple[str, int], ...] = ()


def stage_rows(evidence: ShadowEvidence) -> list[StageRow]:
    """Every stage of the model, in forward order."""
    groups: dict[str, list[ShadowRow]] = defaultdict(list)
    for row in evidence.rows:
        groups[stage_of(row.module)].append(row)
    return [
        StageRow(
            stage=stage or "outside of modules",
            tensors=len(rows),
            violated=sum(row.violated for row in rows),
            worst=max(rows, key=lambda row: (row.violated, row.excess)),
        )
        for stage, rows in groups.items()
    ]


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
            missing=count,
            there=there.get(op, 0),
            total=coverage.total,
            why=coverage.skipped.get(op, "not said"),
            modules=tuple(coverage.unchecked.get(op, {}).items()),
        )
        for op, count in sorted(missing.items(), key=lambda item: -item[1])
    ]
