"""A run as it happens: one JSON line an iteration; killed at any moment it leaves a trace that says it is cut short.

The first line says what was planned, the last one that the end was reached. Without that last line the run did not
reach it, whatever else the file holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from harness.store.atomic import LARGEST_FILE, write_text
from harness.values.errors import TraceError
from harness.values.trace import StateTable, Trace

__all__ = ["SCHEMA", "TraceStream", "assemble_stream", "follow_stream", "read_stream"]

SCHEMA = 1


class TraceStream:
    """Writes a run's iterations to disk, each as it happens.

    Args:
        path: the file; it must not exist.
        planned: how many iterations the run is to have.
        resumed: whether the run goes on with an earlier one: then the file may exist, and ``keep_before`` says how much
            of it stays. Until then it is left as it is.
    """

    def __init__(self, path: Path, planned: int, *, resumed: bool = False) -> None:
        self._path = path
        self._header = {"schema": SCHEMA, "planned": planned}
        self._file = path.open("a" if resumed else "x", encoding="utf-8", newline="\n")
        if not resumed:
            self._write(self._header)

    def __enter__(self) -> TraceStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is None:
            self._write({"end": True})
        self._file.close()

    def keep_before(self, iteration: int) -> None:
        """Keep what lies before an iteration, and nothing else: a run that goes on from there makes the rest again.

        Raises:
            TraceError: the file can't be read, or doesn't hold every iteration before.
        """
        earlier = _lines(self._path, None) if self._path.stat().st_size else ()
        kept = [line for line in earlier if line.get("iteration", iteration) < iteration]
        if [line["iteration"] for line in kept] != list(range(iteration)):
            raise TraceError(
                "the trace lacks iterations before the one that the run goes on from",
                where=self._path,
                observed=f"{len(kept)} of {iteration}",
                hint="go on in the folder of the run that wrote the checkpoint",
            )
        self._file.close()
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in (self._header, *kept)))
        self._file = self._path.open("a", encoding="utf-8", newline="\n")

    def append(
        self,
        iteration: int,
        signals: Mapping[str, float],
        batch: str,
        state: Mapping[str, float] | None = None,
        evaluation: Mapping[str, float] | None = None,
    ) -> None:
        """Write one iteration, and hand it to the operating system before returning.

        Args:
            iteration: its number, from 0.
            signals: name → value.
            batch: digest of the batch.
            state: tensor → norm, at the iterations where the state is recorded.
            evaluation: what the model answers in evaluation mode, by name, where it is asked.
        """
        line: dict[str, Any] = {"iteration": iteration, "signals": dict(signals), "batch": batch}
        if state is not None:
            line["state"] = dict(state)
        if evaluation is not None:
            line["evaluation"] = dict(evaluation)
        self._write(line)

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def read_stream(path: Path, largest: int | None = LARGEST_FILE) -> Trace:
    """The trace that a stream holds so far.

    Args:
        path: the file.
        largest: bytes; a larger file is refused. None for a stream of our own, however long the training.

    Raises:
        TraceError: the file is missing, too large, or holds something else than whole lines and one torn last line.
    """
    return assemble_stream(_lines(path, largest), path)


def follow_stream(path: Path, offset: int) -> tuple[list[Mapping[str, Any]], int]:
    """The whole lines that were written since ``offset``, and the offset to go on from. For progress bars."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            text, newline, _ = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return [], offset
    lines = [json.loads(line) for line in text.splitlines()] if newline else []
    return lines, offset + len(text) + len(newline)


def _lines(path: Path, largest: int | None) -> Iterator[Mapping[str, Any]]:
    try:
        size = path.stat().st_size
        if largest is not None and size > largest:
            raise TraceError("the stream is too large", where=path, observed=f"{size} bytes", allowed=largest)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise TraceError("the stream can't be read", where=path, observed=str(failure)) from None
    whole, _, _torn = text.rpartition("\n")
    for number, line in enumerate(whole.split("\n"), 1):
        try:
            parsed = json.loads(line)
        except (ValueError, RecursionError):
            raise TraceError("a line of the stream is no JSON", where=f"{path}:{number}", observed=line[:80]) from None
        if not isinstance(parsed, dict):
            raise TraceError("a line of the stream is no object", where=f"{path}:{number}", observed=line[:80])
        yield parsed


def assemble_stream(lines: Iterable[Mapping[str, Any]], where: Path) -> Trace:
    """The trace that the lines of a stream hold, the header first.

    Args:
        lines: at least the header.
        where: the stream's file, for messages.

    Raises:
        TraceError: a line is of another schema, or lacks a value.
    """
    header, *rest = lines
    planned = header.get("planned")
    if header.get("schema") != SCHEMA or not isinstance(planned, int):
        raise TraceError(
            "the stream has another schema", where=where, observed=dict(header), allowed=f"schema {SCHEMA}"
        )
    ended = bool(rest) and rest[-1].get("end") is True
    rows = rest[:-1] if ended else rest
    try:
        names = list(rows[0]["signals"]) if rows else ["loss"]
        signals = {name: np.array([row["signals"][name] for row in rows], dtype=np.float64) for name in names}
        iterations = np.array([row["iteration"] for row in rows], dtype=np.int64)
        batches = tuple(str(row["batch"]) for row in rows)
        state, evaluation = _table(rows, "state"), _table(rows, "evaluation")
    except (KeyError, TypeError, ValueError) as failure:
        raise TraceError("a line of the stream lacks a value", where=where, observed=str(failure)) from None
    complete = ended and len(rows) == planned
    return Trace(iterations, signals, planned, complete, batches, state, evaluation)


def _table(rows: list[Mapping[str, Any]], key: str) -> StateTable:
    kept = [row for row in rows if key in row]
    if not kept:
        return StateTable.empty()
    names = tuple(kept[0][key])
    values = np.array([[row[key][name] for name in names] for row in kept], dtype=np.float64)
    return StateTable(np.array([row["iteration"] for row in kept], dtype=np.int64), names, values)
