"""Tables: CSV with a header, and JSON, whose rows are objects."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.logs.gathering import UNKNOWN, Gathering
from harness.values.errors import LogError

__all__ = ["looks_like_columns", "looks_like_csv", "read_columns", "read_csv", "read_json_lines", "read_rows"]

_ITERATIONS = ("iteration", "iter", "global_step", "step", "steps", "it")
_EPOCHS, _RANKS = ("epoch",), ("rank", "local_rank", "global_rank")
_LARGEST_CELL = 1 << 27


def looks_like_csv(head: bytes) -> bool:
    """Whether a text begins with a header of names and a row of as many numbers."""
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()][:2]
    if len(lines) < 2 or any(len(line) > 100_000 for line in lines):
        return False
    names, *rows = (_cells(line, _delimiter(lines[0])) for line in lines)
    if len(set(names)) != len(names) or not all(names) or any(_number(name) is not None for name in names):
        return False
    if len(names) == 1 and not names[0].lower().endswith("loss"):
        return False
    return all(len(row) == len(names) and any(_number(cell) is not None for cell in row) for row in rows)


def looks_like_columns(head: bytes) -> bool:
    """Whether a text holds nothing but one or two numbers a line, the first of two a count; ``#`` begins a comment."""
    rows = [_columns(line) for line in head.split(b"\n")[:-1] if line.strip() and not line.lstrip().startswith(b"#")]
    width = len(rows[0]) if rows and rows[0] else 0
    return width in (1, 2) and all(len(row) == width and (width == 1 or _integer(row[0]) >= 0) for row in rows)


def read_columns(pieces: Iterable[bytes], found: Gathering) -> None:
    """Gather a table without a header: an iteration and its loss a line, or a loss alone."""
    found.note("the table has no header: its last column was taken as the loss, one before it as the iteration")
    column = found.column("loss")
    for piece in pieces:
        for line in piece.split(b"\n"):
            if not line.strip() or line.lstrip().startswith(b"#") or column is None:
                continue
            row = _columns(line)
            if len(row) in (1, 2):
                column.append(UNKNOWN, _integer(row[0]) if len(row) == 2 else UNKNOWN, UNKNOWN, row[-1])
            else:
                found.note("{count} line(s) hold something else than one or two numbers and were left out")


def read_csv(pieces: Iterable[bytes], found: Gathering) -> None:
    """Gather the rows of a CSV table; a cell that holds no number is no value."""
    lines = (line for piece in pieces for line in piece.decode("utf-8", "replace").split("\n") if line.strip())
    header = next(lines)
    delimiter = _delimiter(header)
    names = _cells(header, delimiter)
    csv.field_size_limit(_LARGEST_CELL)
    lower = [name.lower() for name in names]
    keys = [_first(lower, choices) for choices in (_EPOCHS, _ITERATIONS, _RANKS)]
    metrics = [(at, found.column(name)) for at, name in enumerate(names) if at not in keys]
    kept = [(at, column) for at, column in metrics if column is not None]
    for row in csv.reader(lines, delimiter=delimiter):
        if len(row) != len(names):
            found.note("{count} row(s) with another number of cells than the header were left out")
            continue
        epoch, iteration, rank = (_integer(_number(row[at])) if at is not None else UNKNOWN for at in keys)
        for at, column in kept:
            if (value := _number(row[at])) is not None:
                column.append(epoch, iteration, rank, value)
            elif row[at].strip():
                found.note("{count} cell(s) of " + names[at] + " hold no number and were left out")


def read_json_lines(pieces: Iterable[bytes], found: Gathering) -> None:
    """Gather JSON objects, one a line, such as mmengine's ``scalars.json``."""
    read_rows(_objects(pieces, found), found)


def read_rows(rows: Iterable[Mapping[str, Any]], found: Gathering) -> None:
    """Gather objects that hold an iteration and metrics; nested objects count by their joined names."""
    for row in rows:
        if str(row.get("mode", "train")) not in ("train", "training") or "planned" in row:
            continue
        flat = dict(_flatten(row))
        lower = {name.lower(): name for name in reversed(flat)}
        epoch, iteration, rank = (
            _integer(next((flat[lower[key]] for key in keys if key in lower), None))
            for keys in (_EPOCHS, _ITERATIONS, _RANKS)
        )
        for name, value in flat.items():
            if name.lower() not in (*_EPOCHS, *_ITERATIONS, *_RANKS) and (column := found.column(name)) is not None:
                column.append(epoch, iteration, rank, value)


def _objects(pieces: Iterable[bytes], found: Gathering) -> Iterator[Mapping[str, Any]]:
    for piece in pieces:
        for line in piece.split(b"\n"):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield row
            else:
                found.note("{count} line(s) are no JSON object and were left out")


def _flatten(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if isinstance(value, bool):
            continue
        if isinstance(value, (int, float)):
            yield prefix + name, _as_float(value)
        elif isinstance(value, str) and (number := _number(value)) is not None:
            yield prefix + name, number
        elif isinstance(value, dict) and prefix.count(".") < 8:
            yield from _flatten(value, "" if name in ("signals", "metrics") else f"{prefix}{name}.")


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error as error:
        raise LogError("the table's header can't be parsed", observed=str(error)) from None


def _columns(line: bytes) -> list[float]:
    """The numbers of a line that holds nothing else; else nothing."""
    numbers = [_number(cell) for cell in line.decode("utf-8", "replace").replace(",", " ").replace(";", " ").split()]
    return [] if None in numbers else [number for number in numbers if number is not None]


def _first(names: Sequence[str], choices: Sequence[str]) -> int | None:
    return next((names.index(choice) for choice in choices if choice in names), None)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _integer(value: float | None) -> int:
    """A number as a count; UNKNOWN where it is none that an int64 holds exactly."""
    return int(value) if value is not None and value == value // 1 and 0 <= value < 2**53 else UNKNOWN
