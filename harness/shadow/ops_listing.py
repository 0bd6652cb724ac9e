"""The operations of shadowed steps as a table: the worst of each, its precision, and whether the device has it."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from harness.shadow.evidence.checks import Coverage, ShadowCheck, ShadowEvidence, ShadowRecord
from harness.shadow.judging.error_model import family_of
from harness.shadow.judging.operations import weigh_check
from harness.store.decoding import encode_value

__all__ = ["OpRow", "list_operations", "list_tensors", "on_device", "render_csv", "render_json"]


@dataclass(frozen=True, slots=True)
class OpRow:
    """What is alike of an operation's checks, and the worst of them.

    Args:
        op: the operation.
        family: that it is judged and shown with.
        part: of the step; several with + between them.
        tensor: which result; the worst's where the row is of all of them.
        dtype: of the result.
        shape: of the result, the worst's where the row is of all of them.
        contiguous: whether every tensor that went in was.
        calls: how many calls, or checks of this tensor.
        error: the worst relative error norm.
        allowed: what a healthy kernel may have there.
        projection: the worst there is of it.
        allowed_projection: what a healthy kernel may have there.
        times: how often its bound the worst is, of error or projection.
        violated: whether it is violated.
        bits: effective mantissa bits of the family on this device, None where its calls don't show any.
        expected: what the tier expects of the family, None likewise.
        on_host: whether the device left it to its host; None for a check by program, which isn't an operation.
        module: where it was worst.
    """

    op: str
    family: str
    part: str
    tensor: str
    dtype: str
    shape: tuple[int, ...]
    contiguous: bool
    calls: int
    error: float
    allowed: float
    projection: float
    allowed_projection: float
    times: float
    violated: bool
    bits: float | None
    expected: int | None
    on_host: bool | None
    module: str


def list_tensors(record: ShadowRecord, evidence: ShadowEvidence) -> tuple[OpRow, ...]:
    """A row for each distinct part, operation, tensor, dtype and shape, in the order of the step.

    Args:
        record: of a run.
        evidence: the same, judged.
    """
    groups: dict[tuple[Any, ...], list[ShadowCheck]] = defaultdict(list)
    for check in record.checks:
        key = (check.part, check.op, check.tensor, check.dtype, check.shape, check.contiguous)
        groups[key].append(check)
    return tuple(_row(checks, evidence) for checks in groups.values())


def list_operations(rows: Sequence[OpRow], coverage: Coverage) -> tuple[OpRow, ...]:
    """A row for each distinct operation and dtype, the operations with a violation first, then by their calls.

    Args:
        rows: from ``list_tensors``.
        coverage: of the same run: it counts calls, where a row counts checks.
    """
    groups: dict[tuple[str, str], list[OpRow]] = defaultdict(list)
    for row in rows:
        groups[row.op, row.dtype].append(row)
    dtypes = Counter(op for op, _ in groups)
    merged = [_merged(group, coverage.calls.get(op, 0) if dtypes[op] == 1 else 0) for (op, _), group in groups.items()]
    return tuple(sorted(merged, key=lambda row: (not row.violated, -row.calls)))


def on_device(coverage: Coverage) -> tuple[int, int, int, int]:
    """How much the device does itself, as coverage is counted of a port.

    Returns:
        Operations on the device and in all, calls on the device and in all.
    """
    left = [calls for op, calls in coverage.calls.items() if op in coverage.fallen_back]
    operations, calls = len(coverage.calls), sum(coverage.calls.values())
    return operations - len(left), operations, calls - sum(left), calls


def render_csv(rows: Iterable[OpRow]) -> str:
    """The rows as CSV with a header; floats by ``repr``, a shape as ``2x64x32``."""
    text = io.StringIO()
    names = [field.name for field in fields(OpRow)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**asdict(row), "shape": "x".join(map(str, row.shape))})
    return text.getvalue()


def render_json(rows: Iterable[OpRow], coverage: Coverage) -> str:
    """The rows and the coverage as strict JSON; what isn't finite is a word."""
    device, operations, device_calls, calls = on_device(coverage)
    document = {
        "coverage": {
            "operations_on_device": device,
            "operations": operations,
            "calls_on_device": device_calls,
            "calls": calls,
            "fallen_back": list(coverage.fallen_back),
            "checked_rate": coverage.rate,
            "skipped": dict(coverage.skipped),
            "programs": dict(coverage.programs),
        },
        "rows": tuple(rows),
    }
    return encode_value(document)


def _row(checks: Sequence[ShadowCheck], evidence: ShadowEvidence) -> OpRow:
    weighed = [weigh_check(check, evidence.tier) for check in checks]
    worst = max(weighed, key=lambda row: (row.violated, row.excess))
    first = checks[0]
    precision = next((p for p in evidence.precisions if p.family == family_of(first.op)), None)
    return OpRow(
        op=first.op,
        family=family_of(first.op),
        part=first.part.value,
        tensor=first.tensor,
        dtype=first.dtype,
        shape=first.shape,
        contiguous=first.contiguous,
        calls=len(checks),
        error=worst.error,
        allowed=worst.allowed,
        projection=worst.projection,
        allowed_projection=worst.allowed_projection,
        times=worst.excess,
        violated=worst.violated,
        bits=precision.bits if precision else None,
        expected=precision.expected if precision else None,
        on_host=first.op in evidence.coverage.fallen_back if first.op in evidence.coverage.calls else None,
        module=worst.module,
    )


def _merged(rows: Sequence[OpRow], calls: int) -> OpRow:
    """The rows as one.

    Args:
        rows: of one operation and dtype.
        calls: how many calls there were; 0 where that isn't known of the dtype, and its checks have to tell.
    """
    worst = max(rows, key=lambda row: (row.violated, row.times))
    parts = "+".join(dict.fromkeys(row.part for row in rows))
    of_tensor: Counter[str] = Counter()
    for row in rows:
        of_tensor[row.tensor] += row.calls
    return replace(
        worst, part=parts, calls=calls or max(of_tensor.values()), contiguous=all(row.contiguous for row in rows)
    )
