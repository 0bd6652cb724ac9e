"""Logs that are one JSON document: a trainer's state, golden values, a table of lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.logs.gathering import UNKNOWN, Gathering
from harness.logs.rows import row_record
from harness.store.decoding import decode_foreign
from harness.values.errors import LogError

__all__ = ["DOCUMENTS", "read_document"]

_LARGEST_DOCUMENT = 1 << 28  # bytes: a document is held whole

DOCUMENTS = (
    ("Hugging Face trainer_state.json", '{"log_history": [{"loss": 2.31, "step": 10, "epoch": 0.02}]}'),
    ("Megatron-LM golden values", '{"lm loss": {"start_step": 1, "step_interval": 5, "values": {"1": 10.49, "5": 10.48}}}'),
    ("MindSpeed-LLM baseline", '{"lm loss": [11.306, 11.293, 11.234], "grad norm": [37.7, 37.6, 37.9]}'),
    ("TensorBoard JSON export", "[[1700000000.1, 10, 2.31], [1700000010.2, 20, 2.21]]"),
    ("JSON document", '[{"loss": 2.31, "step": 10}]'),
)  # fmt: skip
"""name, example."""


def read_document(pieces: Iterator[bytes], found: Gathering, where: object) -> tuple[str, list[bytes]]:
    """Gather one JSON document with a training in it.

    Args:
        pieces: of the text.
        found: gets the values.
        where: the log, for messages.

    Returns:
        What it is; nothing where the text is no such document, and the pieces that were taken.

    Raises:
        LogError: it is a document that can't be taken, such as one with a name twice in an object.
    """
    kept = [next(pieces, b"")]
    if not _begins_document(kept[0]):
        return "", kept
    for piece in pieces:
        kept.append(piece)
        if sum(map(len, kept)) > _LARGEST_DOCUMENT:
            return "", kept
    try:
        document = decode_foreign(b"".join(kept))
    except (json.JSONDecodeError, UnicodeDecodeError):
        return "", kept
    except ValueError as refused:
        if not _is_json(b"".join(kept)):
            return "", kept  # a log of lines, the first of which can't be taken
        raise LogError("the JSON can't be taken", where=where, observed=str(refused)) from None
    return _read(document, found), kept


def _begins_document(piece: bytes) -> bool:
    """Whether a text's first piece may be that of one JSON document: many logs begin with a bracket, and are none."""
    text = piece.decode("utf-8", "replace").strip()
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as failure:
        return failure.pos >= len(text) // 2 or failure.msg.startswith("Unterminated string")
    except (ValueError, RecursionError):
        return True
    return end == len(text)


def _is_json(text: bytes) -> bool:
    """Whether a text is one JSON document, by Python's own lenient reader."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read(document: object, found: Gathering) -> str:  # noqa: PLR0911  # one return a kind of document
    if isinstance(document, list):
        if document and all(isinstance(row, list) and len(row) == 3 for row in document):
            return _read_scalars(document, found)
        return _read_rows(document, found, "JSON document")
    if not isinstance(document, dict):
        return ""
    history = document.get("log_history")
    if isinstance(history, list):
        return _read_rows(history, found, "Hugging Face trainer_state.json")
    golden = {name: one["values"] for name, one in document.items() if isinstance(one, dict) and "values" in one}
    if golden:
        for name, values in golden.items():
            _take(name, _steps(document[name], values), found)
        return "Megatron-LM golden values"
    lists = {name: one for name, one in document.items() if isinstance(one, list) and _number(one[:1]) is not None}
    if lists:
        counted = any(name.lower().endswith("loss") and " " in name for name in lists)
        for name, values in lists.items():
            _take(name, enumerate(values, 1) if counted else ((UNKNOWN, value) for value in values), found)
        return "MindSpeed-LLM baseline" if counted else "JSON document of lists"
    return _read_rows([document], found, "JSON document")


def _read_rows(rows: Iterable[object], found: Gathering, name: str) -> str:
    for row in rows:
        if isinstance(row, dict) and (record := row_record(row)) is not None:
            for metric, value in record.values.items():
                if (column := found.column(metric)) is not None:
                    column.append(record.epoch, record.iteration, record.rank, value)
    return name


def _read_scalars(rows: Iterable[list[Any]], found: Gathering) -> str:
    _take("loss", ((row[1], row[2]) for row in rows), found)
    return "TensorBoard JSON export"


def _steps(about: Mapping[str, Any], values: object) -> Iterator[tuple[object, object]]:
    """The steps of golden values: printed beside them, or counted from a first one in intervals."""
    if isinstance(values, dict):
        yield from values.items()
    elif isinstance(values, list):
        first, interval = about.get("start_step", 0), about.get("step_interval", 1)
        if isinstance(first, int) and isinstance(interval, int):
            yield from ((first + at * interval, value) for at, value in enumerate(values))


def _take(name: str, pairs: Iterable[tuple[object, object]], found: Gathering) -> None:
    if (column := found.column(name)) is None:
        return
    for step, value in pairs:
        number = _number([value])
        text = str(step)
        if number is None or not (step == UNKNOWN or (text.isascii() and text.isdecimal() and len(text) < 18)):
            found.note("{count} value(s) of " + name + " are no numbers and were left out")
        else:
            column.append(UNKNOWN, int(text), UNKNOWN, number)


def _number(values: list[Any]) -> float | None:
    """The first value as a number, also where it is spelled out; None where it is none."""
    value = values[0] if values else None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
