"""Tables: rows under a header, and columns of numbers without one."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.logs.gathering import UNKNOWN
from harness.logs.records import Record, RowError
from harness.logs.rows import EPOCHS, PHASES, RANKS, STEPS, Formatted, RowFormat, as_count, as_number, is_other
from harness.values.errors import LogError

__all__ = ["TABLE_FORMATS", "ColumnReader", "TableReader", "column_reader", "table_reader"]

_ANY = re.compile(rb"[^\n]")
_LARGEST_CELL = 1 << 27
_LONGEST_ROW = 1000  # bytes of a row of three numbers
_SPLIT = 100  # lines, blank ones counted, among which a header is looked for
_SPACES = " "
"""Stands for a delimiter of any number of spaces."""
_RULE = re.compile(r"[-+=|: \t]{3,100000}")  # the line under the header of a table for people
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3}){1,6}(?:\.\d{1,20})?")
_COMMA_DECIMAL = re.compile(r"[-+]?\d{1,18},\d{1,20}(?:[eE][-+]?\d{1,3})?")

TABLE_FORMATS = (
    RowFormat(
        "TensorBoard CSV export",
        ("Wall time", "Step", "Value"),
        "Wall time,Step,Value\n1700000000.1,10,2.31",
        ("Value",),
    ),
    RowFormat(
        "Ultralytics results.csv",
        ("epoch", "train/box_loss", "train/cls_loss"),
        "epoch,train/box_loss,train/cls_loss,train/dfl_loss,val/box_loss\n1,1.21,2.31,1.1,1.3",
        ("train/box_loss",),
    ),
    RowFormat(
        "Lightning metrics.csv",
        ("step", "epoch", "train_loss_step"),
        "epoch,step,train_loss_epoch,train_loss_step,val_loss\n0,49,,2.31,",
        ("train_loss_step",),
    ),
    RowFormat(
        "Lightning metrics.csv, one loss",
        ("step", "epoch", "train_loss"),
        "epoch,step,train_loss,val_loss\n0,49,2.31,",
        ("train_loss",),
    ),
    RowFormat(
        "Keras CSVLogger",
        ("epoch", "loss", "val_loss"),
        "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.1,2.31,0.1,2.2",
    ),
    RowFormat(
        "Weights & Biases CSV export",
        ("Step", "run - train/loss"),
        '"Step","run - train/loss","run - train/loss__MIN","run - train/loss__MAX"\n"10","2.31","2.31","2.31"',
    ),
)


@dataclass(frozen=True)
class TableReader(Formatted):
    """Reads the rows of a table with a header.

    Args:
        format: which one.
        names: the header's cells.
        delimiter: between cells; a space for any number of them.
        keys: the columns of epoch, iteration and rank.
        phase: the column that says which phase a row is of.
    """

    format: RowFormat
    names: tuple[str, ...]
    delimiter: str
    keys: tuple[int | None, int | None, int | None]
    phase: int | None = None

    marker: re.Pattern[bytes] = _ANY
    groups: bool = False

    @property
    def anchors(self) -> tuple[bytes, ...]:
        """The table's delimiter."""
        return (self.delimiter.encode(),)

    def read_line(self, line: bytes) -> Iterator[Record]:
        """The record of a row."""
        text = line.decode("utf-8", "replace")
        row = _cells(text, self.delimiter)
        if len(row) != len(self.names):
            if _RULE.fullmatch(text.strip()):
                return
            raise RowError("{count} row(s) with another number of cells than the header were left out")
        if tuple(row) == self.names or all(_RULE.fullmatch(f"{cell}---") for cell in row):
            return
        if self.phase is not None and is_other(row[self.phase]):
            return
        starts = _cell_starts(line, self.delimiter.encode(), len(row)) if self.phase is None else []
        numbers = [as_count(self._number(row[at])) if at is not None else UNKNOWN for at in self.keys]
        record = Record(numbers[0], numbers[1], numbers[2])
        for name, at in zip(("epoch", "iteration", "rank"), self.keys, strict=True):
            if at is not None and starts:
                record.places[name] = starts[at]
        self._take_values(record, row, starts)
        yield record

    def _take_values(self, record: Record, row: Sequence[str], starts: Sequence[int]) -> None:
        for at, name in enumerate(self.names):
            if at in (*self.keys, self.phase) or name.endswith(("__MIN", "__MAX")) or not name:
                continue
            if (value := self._number(row[at])) is not None:
                record.put(name, value, starts[at] if starts else None)
            elif row[at].strip():
                record.odd += (name,)

    def _number(self, cell: str) -> float | None:
        """A cell's number; thousands may be separated by commas, or decimals where semicolons separate cells."""
        if "," not in cell:
            return as_number(cell)
        if self.delimiter == ";" and _COMMA_DECIMAL.fullmatch(cell):
            return as_number(cell.replace(",", "."))
        return as_number(cell.replace(",", "")) if self.delimiter != ";" and _THOUSANDS.fullmatch(cell) else None


def table_reader(head: bytes) -> TableReader | None:
    """The reader of a text that begins with a header of names and a row of as many numbers; None where it is none."""
    first = b"\n".join(head.split(b"\n", _SPLIT)[:_SPLIT])
    lines = [line for line in first.decode("utf-8", "replace").splitlines() if line.strip()]
    lines = [line for line in lines[:5] if not _RULE.fullmatch(line.strip()) and not line.startswith("#")][:2]
    if len(lines) < 2 or any(len(line) > 100_000 for line in lines):
        return None
    delimiter = max(",;\t|", key=lines[0].count)
    if delimiter not in lines[0]:
        delimiter = _SPACES if re.search(r"\S\s{1,99}\S", lines[0].strip()) else ","
    names, row = (_cells(line, delimiter) for line in lines)
    if len(set(names)) != len(names) or not all(names[1:]) or any(as_number(name) is not None for name in names):
        return None
    if len(names) == 1 and not names[0].lower().endswith("loss"):
        return None
    reader = TableReader(_table_format(names, delimiter), tuple(names), delimiter, (None, None, None))
    numbers = [reader._number(cell) for cell in row] if len(row) == len(names) else []  # its own class
    if all(number is None for number in numbers):
        return None
    if delimiter in (_SPACES, "|") and any(number is None for number in numbers):
        return None  # a sentence has as many words as the next one by chance
    lower = [name.lower() for name in names]
    epoch, rank, phase = (_column_of(lower, keys) for keys in (EPOCHS, RANKS, PHASES))
    step = _column_of(lower, STEPS)
    return TableReader(_table_format(names, delimiter), tuple(names), delimiter, (epoch, step, rank), phase)


def _column_of(names: Sequence[str], keys: Sequence[str]) -> int | None:
    return next((names.index(key) for key in keys if key in names), None)


def _table_format(names: Sequence[str], delimiter: str) -> RowFormat:
    if any(name.endswith("__MIN") for name in names):
        return TABLE_FORMATS[-1]
    known = (one for one in TABLE_FORMATS[:-1] if all(key in names for key in one.keys))
    return next(known, RowFormat("CSV" if delimiter in ",;\t" else "table", (), "", ()))


@dataclass(frozen=True)
class ColumnReader:
    """Reads a table without a header: a loss a line; an iteration and its loss; a time, a value and its step."""

    name: str
    width: int
    metric: str
    losses: tuple[str, ...] = ()
    window: int = 1
    marker: re.Pattern[bytes] = _ANY
    anchors: tuple[bytes, ...] = (b" ", b"\t", b",", b";")
    groups: bool = False

    def read_line(self, line: bytes) -> Iterator[Record]:
        """The record of a row."""
        if not line.strip() or line.lstrip().startswith(b"#"):
            return
        row = _columns(line)
        if len(row) != self.width:
            raise RowError("{count} line(s) hold something else than the first row and were left out")
        record = Record()
        cells = [match.start() for match in re.finditer(rb"[^\s,;]{1,100}", line)]
        value, step = (1, 2) if self.width == 3 else (self.width - 1, 0)
        record.put(self.metric, row[value], cells[value] if len(cells) == self.width else None)
        if self.width > 1:
            record.iteration = as_count(row[step])
            record.places["iteration"] = cells[step]
        yield record


def column_reader(head: bytes, path: Path) -> ColumnReader | None:
    """The reader of a text that holds nothing but one, two or three numbers a line; None where it is none."""
    lines = (line for line in head[: 1 << 17].split(b"\n")[:-1] if line.strip() and not line.lstrip().startswith(b"#"))
    first = next(lines, b"")
    width = len(_columns(first)) if len(first) < _LONGEST_ROW else 0
    if width not in (1, 2, 3):
        return None
    rows = [_columns(line) for line in (first, *lines)]
    if not all(len(row) == width for row in rows):
        return None
    if width == 3 and all(row[0] > 1e11 and as_count(row[2]) >= 0 for row in rows):
        return ColumnReader("MLflow metric file", 3, path.name, (path.name,))
    if width == 2 and all(as_count(row[0]) >= 0 for row in rows):
        return ColumnReader("two columns without a header: iteration and loss", 2, "loss")
    return ColumnReader("one column without a header: the loss", 1, "loss") if width == 1 else None


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == _SPACES:
        return line.split()
    if delimiter == "|":
        line = line.strip().removeprefix("|").removesuffix("|")
    csv.field_size_limit(_LARGEST_CELL)
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error as error:
        raise LogError("the table can't be parsed", observed=str(error)) from None


def _cell_starts(line: bytes, delimiter: bytes, count: int) -> list[int]:
    """Where the cells of a row begin, inside their quotes; nothing where that isn't plain."""
    parts = line.split(delimiter)
    if len(parts) != count or delimiter in (b" ", b"|"):
        return []
    starts, at = [], 0
    for part in parts:
        starts.append(at + (len(part) - len(part.lstrip(b' "'))))
        at += len(part) + 1
    return starts


def _columns(line: bytes) -> list[float]:
    """The numbers of a line that holds nothing else; else nothing."""
    numbers = [as_number(cell) for cell in line.decode("utf-8", "replace").replace(",", " ").replace(";", " ").split()]
    return [] if None in numbers else [number for number in numbers if number is not None]
