"""Lines that are JSON objects, with or without a word before them."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.logs.gathering import UNKNOWN
from harness.logs.records import Record, RowError
from harness.logs.tokens import PHASE_WORD, find_rank
from harness.store.decoding import decode_foreign

__all__ = [
    "EPOCHS",
    "JSON_FORMATS",
    "PHASES",
    "RANKS",
    "STEPS",
    "Formatted",
    "JsonReader",
    "RowFormat",
    "as_count",
    "as_number",
    "is_other",
    "json_reader",
    "row_record",
]

STEPS = (
    "global_step/max_steps", "train/global_step", "trainer/global_step", "global_step", "current_steps", "_step",
    "num_updates", "iteration", "iter", "iterations", "step", "steps", "it", "train/step", "batch_idx", "batch",
)  # fmt: skip
"""Names of an iteration, the ones that count through the whole training first."""
EPOCHS, RANKS = ("epoch", "epoch_num"), ("rank", "local_rank", "global_rank")
PHASES = ("mode", "phase", "split", "stage")
_NESTED = ("signals", "metrics", "data")  # objects whose name is no part of their metrics' names
_SPLIT = 1200  # lines, blank ones counted, among which a row is looked for
_LONGEST_PREFIX = 300  # bytes before an object
_REFUSED = "{count} JSON row(s) that hold a name twice, are nested too deeply or hold half a character were left out"
_STEP_LIST = re.compile(rb'"step"\s{0,4}:\s{0,4}\[\s{0,4}(\d{1,18})\s{0,4},\s{0,4}(\d{1,18})\s{0,4}\]')


@dataclass(frozen=True)
class RowFormat:
    """How rows of one program are told from others'.

    Args:
        name: what people call it.
        keys: names that such rows have.
        example: a row, or a table's header and a row.
        losses: what the format calls the loss; the first that a log holds.
        window: over how many iterations a value is a mean or a median.
        prefix: what stands before the object.
    """

    name: str
    keys: tuple[str, ...]
    example: str
    losses: tuple[str, ...] = ("loss",)
    window: int = 1
    prefix: str = ""


JSON_FORMATS = (
    RowFormat(
        "TCAPPDLL and DLLogger JSON stream",
        ("step", "data"),
        'DLLL {"type": "LOG", "step": [0, 17], "data": {"step_loss": 2.31, "average_loss": 2.52}}',
        ("train.loss", "loss", "step_loss", "train_loss"),
        prefix="TCAPPDLL|DLLL",
    ),
    RowFormat(
        "MLPerf MLLOG",
        ("key", "value"),
        ':::MLLOG {"event_type": "POINT_IN_TIME", "key": "train_loss", "value": 2.31, "metadata": {"step_num": 10}}',
        ("train_loss", "loss"),
        prefix=":::MLLOG",
    ),
    RowFormat(
        "fairseq JSON",
        ("num_updates", "loss"),
        '2020-07-17 06:59:26 | INFO | train_inner | {"epoch": 1, "loss": "10.745", "num_updates": "100"}',
        prefix="train_inner \\|",
    ),
    RowFormat(
        "ms-swift logging.jsonl",
        ("global_step/max_steps",),
        '{"loss": 2.31, "learning_rate": 0.0001, "epoch": 0.02, "global_step/max_steps": "10/438"}',
    ),
    RowFormat(
        "LLaMA-Factory trainer_log.jsonl",
        ("current_steps", "total_steps"),
        '{"current_steps": 20, "total_steps": 13080, "loss": 1.5444, "lr": 3.05e-05, "epoch": 0.005}',
    ),
    RowFormat(
        "Weights & Biases history",
        ("_step",),
        '{"_step": 10, "_runtime": 10.0, "train/loss": 2.31}',
        ("loss", "train/loss", "train_loss"),
    ),
    RowFormat(
        "detectron2 metrics.json",
        ("iteration", "total_loss"),
        '{"iteration": 19, "data_time": 0.01, "total_loss": 2.345, "lr": 0.001}',
        ("total_loss",),
        window=20,
    ),
    RowFormat(
        "mmcv 1.x .log.json (mmseg 0.x, mmdet 2.x)",
        ("mode", "epoch", "iter"),
        '{"mode": "train", "epoch": 1, "iter": 50, "lr": 0.02, "memory": 9200, "loss": 3.47528, "time": 0.45}',
    ),
    RowFormat(
        "mmengine scalars",
        ("data_time", "iter", "step"),
        '{"lr": 0.01, "data_time": 0.005, "loss": 1.7525, "decode.loss_ce": 1.2, "time": 0.87, "iter": 50, "step": 50}',
    ),
    RowFormat(
        "DETR and MAE log.txt",
        ("train_loss", "epoch"),
        '{"train_lr": 0.0001, "train_loss": 32.9, "test_loss": 30.1, "epoch": 3, "n_parameters": 41302368}',
        ("train_loss",),
    ),
)


class Formatted:
    """A reader that says of its format what every reader has to say."""

    format: RowFormat

    @property
    def name(self) -> str:
        """The format, in words."""
        return self.format.name

    @property
    def losses(self) -> tuple[str, ...]:
        """What the format calls the loss."""
        return self.format.losses

    @property
    def window(self) -> int:
        """Over how many iterations a value is a mean or a median."""
        return self.format.window


@dataclass(frozen=True)
class JsonReader(Formatted):
    """Reads JSON objects, one per line."""

    format: RowFormat

    marker: re.Pattern[bytes] = re.compile(rb"\{")
    anchors: tuple[bytes, ...] = (b":", b",", b'"')
    groups: bool = False

    def read_line(self, line: bytes) -> Iterator[Record]:
        """The record of a line."""
        begin = line.find(b"{")
        if begin < 0 or (self.format.prefix and not re.search(self.format.prefix.encode(), line[:begin])):
            return
        if (phases := PHASE_WORD.findall(line, 0, begin)) and not phases[-1].lower().startswith(b"train"):
            return
        row = _parse(line[begin:], strict=True)
        if row is None:
            return
        record = _mlperf_record(row) if self.format.prefix == ":::MLLOG" else row_record(row)
        if record is None:
            return
        for name in record.values:
            if place := _place_of(line, name.rsplit(".", 1)[-1] if f'"{name}"'.encode() not in line else name):
                record.places[name] = place
        if record.rank == UNKNOWN and begin and (rank := find_rank(line, 0, begin)):
            record.rank, record.places["rank"] = rank
        _place_numbers(line, row, record)
        if self.format.prefix == ":::MLLOG":
            _place_mlperf(line, record)
        yield record


def json_reader(head: bytes) -> JsonReader | None:
    """The reader of a text of JSON rows; None where it is none."""
    lines = list(itertools.islice(filter(bytes.strip, head.split(b"\n", _SPLIT)), 300))
    for line in lines:
        begin = line.find(b"{")
        if 0 <= begin < _LONGEST_PREFIX and (row := _parse(line[begin:])) is not None:
            before = line[:begin]
            for known in JSON_FORMATS:
                if _is_row_of(known, before, row):
                    return JsonReader(known)
    if lines and _parse(lines[0].strip()) is not None:
        return JsonReader(RowFormat("JSON lines", (), "", ("loss",)))
    return None


def _is_row_of(known: RowFormat, before: bytes, row: Mapping[str, Any]) -> bool:
    """Whether an object, and what stands before it, are a format's."""
    if known.prefix:
        return re.search(known.prefix.encode(), before) is not None
    return all(key in _names(row) for key in known.keys)


def row_record(row: Mapping[str, Any]) -> Record | None:
    """The record of an object that holds an iteration and metrics; None of another phase than training."""
    if "planned" in row or any(is_other(row.get(name)) for name in PHASES) or row.get("type") == "METADATA":
        return None
    record = Record()
    step = row.get("step")
    flat = dict(_flatten(row))
    lower = {name.lower(): name for name in reversed(flat)}
    if isinstance(step, list):
        if len(step) < 2 or not all(isinstance(part, int) for part in step[:2]):
            return None  # a summary of an epoch or of the whole run
        record.epoch, record.iteration = step[0], step[1]
    else:
        for name in STEPS:
            if (text := row.get(name)) and isinstance(text, str) and (match := re.match(r"(\d{1,18})/\d{1,18}$", text)):
                record.iteration = int(match[1])
                break
            if name in lower and (number := as_count(flat[lower[name]])) != UNKNOWN:
                record.iteration = number
                break
        record.epoch = next((as_count(flat[lower[name]]) for name in EPOCHS if name in lower), UNKNOWN)
    record.rank = next((as_count(flat[lower[name]]) for name in RANKS if name in lower), UNKNOWN)
    known = {*STEPS, *EPOCHS, *RANKS}
    for name, value in flat.items():
        if name.lower() not in known:
            record.put(name, value, None)
    return record


def _mlperf_record(row: Mapping[str, Any]) -> Record | None:
    key, value, about = row.get("key"), row.get("value"), row.get("metadata")
    if not isinstance(key, str) or isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    record = Record()
    if isinstance(about, dict):
        steps = (about.get(name) for name in ("step_num", "iteration", "step", "iter", "samples_count"))
        record.iteration = next((as_count(_as_float(step)) for step in steps if isinstance(step, int)), UNKNOWN)
        epoch = about.get("epoch_num")
        if isinstance(epoch, int) and record.iteration == UNKNOWN:
            record.epoch = epoch
    record.put(key, _as_float(value), None)
    return record


def is_other(phase: object) -> bool:
    """Whether a row's phase is another than training."""
    return isinstance(phase, str) and phase.lower() not in ("train", "training", "fit")


def _names(row: Mapping[str, Any]) -> set[str]:
    return {*row, *(name for name, _ in _flatten(row))}


def _parse(text: bytes, *, strict: bool = False) -> dict[str, Any] | None:
    """The object that a line is; None where it is none.

    Raises:
        RowError: it is one that can't be taken, where ``strict``.
    """
    try:
        row = decode_foreign(text)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    except ValueError:
        if strict:
            raise RowError(_REFUSED) from None
        return None
    return row if isinstance(row, dict) else None


def _flatten(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if isinstance(value, bool):
            continue
        if isinstance(value, (int, float)):
            yield prefix + name, _as_float(value)
        elif isinstance(value, str) and (number := as_number(value)) is not None:
            yield prefix + name, number
        elif isinstance(value, str) and name == "data" and value.startswith("{") and (inner := _literal(value)):
            yield from _flatten(inner)
        elif isinstance(value, dict) and prefix.count(".") < 8:
            yield from _flatten(value, "" if name in _NESTED else f"{prefix}{name}.")


def _literal(text: str) -> dict[str, Any] | None:
    """The object that a string spells, as JSON or as Python prints a dict of numbers."""
    if len(text) > 100_000:
        return None
    try:
        value = decode_foreign(text.encode("utf-8", "replace"))
    except ValueError:
        try:
            value = ast.literal_eval(re.sub(r": ?(-?(?:nan|inf))\b", r": '\1'", text))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    return {str(name): inner for name, inner in value.items()} if isinstance(value, dict) else None


def _place_of(line: bytes, key: str) -> int | None:
    """Where the number of a key begins, if the line holds the key once."""
    pattern = rb"[\"']" + re.escape(key.encode("utf-8", "replace")) + rb"[\"']\s{0,4}:\s{0,4}[\"']?"
    found = list(re.finditer(pattern, line))
    return found[0].end() if len(found) == 1 else None


def _place_numbers(line: bytes, row: Mapping[str, Any], record: Record) -> None:
    if isinstance(row.get("step"), list):
        if match := _STEP_LIST.search(line):
            record.places |= {"epoch": match.start(1), "iteration": match.start(2)}
        return
    if record.iteration != UNKNOWN:
        name = next((name for name in STEPS if f'"{name}"'.encode() in line), "")
        if name and (place := _place_of(line, name)) is not None:
            record.places["iteration"] = place
    for kind, names in (("epoch", EPOCHS), ("rank", RANKS)):
        name = next((name for name in names if f'"{name}"'.encode() in line), "")
        if getattr(record, kind) != UNKNOWN and name and (place := _place_of(line, name)) is not None:
            record.places[kind] = place
    if any(getattr(record, kind) != UNKNOWN and kind not in record.places for kind in ("iteration", "epoch", "rank")):
        record.places.clear()  # a number that can't be placed: such rows are read one by one


def _place_mlperf(line: bytes, record: Record) -> None:
    record.places.clear()
    value, key = _place_of(line, "value"), _place_of(line, "key")
    step = next(
        (name for name in ("step_num", "iteration", "step", "iter", "samples_count") if f'"{name}"'.encode() in line),
        "",
    )
    place = _place_of(line, step) if step else None
    if value is not None and key is not None and place is not None:
        name = next(iter(record.values))
        record.places = {name: value, "iteration": place}
        record.guards = (line.find(b'"', key) + 1,)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def as_number(cell: str) -> float | None:
    """A number as logs print it: not Python's own ``1_000``, nor digits of other scripts."""
    if not cell.isascii() or "_" in cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def as_count(value: float | None) -> int:
    """A number as a count; UNKNOWN where it is none that an int64 holds exactly."""
    return int(value) if value is not None and value == value // 1 and 0 <= value < 2**53 else UNKNOWN
