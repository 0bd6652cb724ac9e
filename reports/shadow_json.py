"""What shadow ops say, as parts of result.json, and back.

``shadow`` holds the rows, ``shadow_ops`` what they are of: iterations, tier, coverage, precisions. A result from before
there were shadow ops has neither.
"""

from __future__ import annotations

from harness.values.shadow import Coverage, EffectivePrecision, Part, ShadowEvidence, ShadowRow
from reports.strict_json import Fields, not_finite_as_text

__all__ = ["read_evidence", "rows_to_json", "summary_to_json"]


def rows_to_json(evidence: ShadowEvidence | None) -> list[dict[str, object]]:
    """A row a tensor; none where no operation was shadowed."""
    return [_row(row) for row in evidence.rows] if evidence is not None else []


def summary_to_json(evidence: ShadowEvidence | None) -> dict[str, object] | None:
    """What the rows are of; null where no operation was shadowed."""
    if evidence is None:
        return None
    return {
        "tier": evidence.tier,
        "iterations": [int(number) for number in evidence.iterations],
        "rows_left_out": evidence.left_out,
        "coverage": {
            "rate": evidence.coverage.rate,
            "calls": dict(evidence.coverage.calls),
            "checked": dict(evidence.coverage.checked),
            "skipped": dict(evidence.coverage.skipped),
            "fallen_back": list(evidence.coverage.fallen_back),
            "programs": dict(evidence.coverage.programs),
            "unchecked": {op: dict(modules) for op, modules in evidence.coverage.unchecked.items()},
        },
        "precisions": [_precision(precision) for precision in evidence.precisions],
    }


def read_evidence(read: Fields) -> ShadowEvidence | None:
    """What shadow ops say in a result, None where it says nothing of them.

    Raises:
        ResultError: a field is missing, of another type, or contradicts another.
    """
    if not read.holds("shadow_ops") and not read.holds("shadow"):
        return None
    rows = read.each("shadow", _read_row)
    if read.raw("shadow_ops") is None:
        if rows:
            raise read.error("shadow", "a result has rows of shadow ops that didn't run", f"{len(rows)} rows", "none")
        return None
    summary = read.inner("shadow_ops")
    return ShadowEvidence(
        iterations=summary.each("iterations", Fields.count),
        tier=summary.text("tier"),
        rows=rows,
        precisions=summary.each("precisions", _read_precision),
        coverage=_read_coverage(summary),
        left_out=summary.count("rows_left_out"),
    )


def _row(row: ShadowRow) -> dict[str, object]:
    return {
        "iteration": int(row.iteration),
        "part": row.part.value,
        "module": row.module,
        "op": row.op,
        "tensor": row.tensor,
        "error": not_finite_as_text(row.error),
        "allowed": not_finite_as_text(row.allowed),
        "projection": not_finite_as_text(row.projection),
        "allowed_projection": not_finite_as_text(row.allowed_projection),
        "calls": int(row.calls),
    }


def _read_row(fields: Fields, name: str) -> ShadowRow:
    read = fields.inner(name)
    parts = [part.value for part in Part]
    if (part := read.text("part")) not in parts:
        raise read.error("part", "a row of shadow ops has an unknown part", part, ", ".join(parts))
    return ShadowRow(
        iteration=read.count("iteration"),
        part=Part(part),
        module=read.text("module"),
        op=read.text("op"),
        tensor=read.text("tensor"),
        error=read.number("error"),
        allowed=read.number("allowed"),
        projection=read.number("projection"),
        allowed_projection=read.number("allowed_projection"),
        calls=read.count("calls"),
    )


def _precision(precision: EffectivePrecision) -> dict[str, object]:
    return {
        "family": precision.family,
        "bits": not_finite_as_text(precision.bits),
        "expected": int(precision.expected),
        "calls": int(precision.calls),
    }


def _read_precision(fields: Fields, name: str) -> EffectivePrecision:
    read = fields.inner(name)
    return EffectivePrecision(read.text("family"), read.number("bits"), read.count("expected"), read.count("calls"))


def _read_counts(fields: Fields, name: str) -> dict[str, int]:
    return fields.table(name, Fields.count)


def _read_coverage(fields: Fields) -> Coverage:
    read = fields.inner("coverage")
    coverage = Coverage(
        calls=read.table("calls", Fields.count),
        checked=read.table("checked", Fields.count),
        skipped=read.table("skipped", Fields.text),
        fallen_back=read.each("fallen_back", Fields.text),
        programs=read.table("programs", Fields.count) if read.holds("programs") else {},
        unchecked=read.table("unchecked", _read_counts) if read.holds("unchecked") else {},
    )
    if (rate := read.number("rate")) != coverage.rate:
        raise read.error("rate", "a coverage contradicts its counts", rate, coverage.rate)
    return coverage
