"""Traces as CSV: one row an iteration, one column a signal, floats by ``repr`` so that they round-trip exactly.

An empty cell is a value that the run didn't record, which is something else than ``nan``.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence

import numpy as np

from harness.values.errors import TraceError
from harness.values.trace import BoolArray, FloatArray, StateTable, Trace

__all__ = ["TABLES", "parse_state", "parse_trace", "render_state", "render_trace"]

TABLES = ("state", "evaluation")
"""What lies beside a trace, as ``<name>.<table>.csv``, where it has it: the fields of ``Trace`` of that name."""

_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|inf|nan)")

_ITERATION, _BATCH, _TENSOR = "iteration", "batch", "tensor"


def render_trace(trace: Trace) -> str:
    """A trace as CSV; the batch digests are its last column where it has them. Its tables are not in it."""
    names = list(trace.signals)
    has = {name: trace.has_value(name) for name in names}
    rows: list[Sequence[object]] = [[_ITERATION, *names, *([_BATCH] if trace.batches else [])]]
    for at, iteration in enumerate(trace.iterations.tolist()):
        values = [repr(float(trace.signals[name][at])) if has[name][at] else "" for name in names]
        rows.append([iteration, *values, *([trace.batches[at]] if trace.batches else [])])
    return _render(rows)


def render_state(state: StateTable) -> str:
    """A state table as CSV: one row a tensor or name, one column an iteration."""
    rows: list[Sequence[object]] = [[_TENSOR, *state.iterations.tolist()]]
    told = state.told
    for column, name in enumerate(state.names):
        cells = zip(state.values[:, column].tolist(), told[:, column].tolist(), strict=True)
        rows.append([name, *(repr(value) if said else "" for value, said in cells)])
    return _render(rows)


def parse_trace(text: str, where: object, *, planned: int, complete: bool) -> Trace:
    """A trace from the text of ``render_trace``, without its tables.

    Raises:
        TraceError: the text is not such a table.
    """
    header, rows = _parse(text, where, _ITERATION)
    batched = header[-1] == _BATCH
    names = header[1:-1] if batched else header[1:]
    numbers, missing = _numbers([row[1 : 1 + len(names)] for row in rows], len(names), where)
    return Trace(
        iterations=np.array([_integer(row[0], where, line) for line, row in enumerate(rows, 2)], dtype=np.int64),
        signals={name: numbers[:, column] for column, name in enumerate(names)},
        planned=planned,
        complete=complete and len(rows) == planned,
        batches=tuple(row[-1] for row in rows) if batched else (),
        missing={name: missing[:, column] for column, name in enumerate(names) if missing[:, column].any()},
    )


def parse_state(text: str, where: object) -> StateTable:
    """A state table from the text of ``render_state``.

    Raises:
        TraceError: the text is not such a table.
    """
    header, rows = _parse(text, where, _TENSOR)
    values, missing = _numbers([row[1:] for row in rows], len(header) - 1, where)
    iterations = np.array([_integer(cell, where, 1) for cell in header[1:]], dtype=np.int64)
    gaps = missing.T.copy() if missing.any() else None
    return StateTable(iterations, tuple(row[0] for row in rows), values.T.copy(), gaps)


def _numbers(cells: Sequence[Sequence[str]], columns: int, where: object) -> tuple[FloatArray, BoolArray]:
    """(T, n) the numbers of a table's cells, and where a cell is empty: its number is NaN."""
    numbers = [[_number(cell, where, line) for cell in row] for line, row in enumerate(cells, 2)]
    missing = [[not cell for cell in row] for row in cells]
    shape = (len(cells), columns)
    return np.array(numbers, np.float64).reshape(shape), np.array(missing, np.bool_).reshape(shape)


def _render(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _parse(text: str, where: object, first: str) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a table whose every row is whole."""
    if not text.endswith("\n"):
        raise TraceError("the table is cut short: its last line has no end", where=where)
    try:
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (csv.Error, ValueError) as failure:
        raise TraceError("the table can't be parsed", where=where, observed=str(failure)) from None
    if not header or header[0] != first:
        raise TraceError("the table's first column has another name", where=where, observed=header[:1], allowed=first)
    if len(set(header)) != len(header):
        raise TraceError("the table names a column twice", where=where, observed=header)
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise TraceError(
                "a row has another number of cells than the header",
                where=f"{where}:{line}",
                observed=len(row),
                allowed=len(header),
            )
    return header, rows


def _number(cell: str, where: object, line: int) -> float:
    """A cell's number: what ``repr`` writes and JSON reads; not ``1_000``, and no digits of other scripts."""
    if not cell:
        return math.nan
    if not _NUMBER.fullmatch(cell):
        raise TraceError("a cell holds no number", where=f"{where}:{line}", observed=repr(cell[:80]))
    value = float(cell)
    if math.isinf(value) and "inf" not in cell:
        raise TraceError("a cell's number is out of range", where=f"{where}:{line}", observed=repr(cell[:80]))
    return value


def _integer(cell: str, where: object, line: int) -> int:
    if not cell.isascii() or not cell.isdecimal() or len(cell) > 18:
        raise TraceError("an iteration is no whole number", where=f"{where}:{line}", observed=repr(cell))
    return int(cell)
