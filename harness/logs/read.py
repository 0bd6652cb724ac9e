"""Reads a training log without being told its format."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.logs.blocks import HEADING, read_blocks
from harness.logs.events import EVENT_FILE, read_events
from harness.logs.gathering import Gathering
from harness.logs.keyvalue import DIALECTS
from harness.logs.metrics import choose_metric, keeps
from harness.logs.opening import clean, open_log, whole_lines
from harness.logs.runs import find_log, read_settings_beside
from harness.logs.settings import HEAD, read_settings
from harness.logs.settling import mean_over_ranks, require_rank, settle
from harness.logs.tables import (
    looks_like_columns,
    looks_like_csv,
    read_columns,
    read_csv,
    read_json_lines,
    read_rows,
)
from harness.logs.text import choose_dialect, read_text
from harness.pairs.log import Log, Series
from harness.values.errors import LogError

__all__ = ["read_log"]

_MMENGINE_WINDOW = 10  # iterations: mmengine's LogProcessor, unless its window_size says otherwise
_LARGEST_DOCUMENT = 1 << 26


def read_log(path: str | Path, *, metric: str | None = "loss", rank: int | str = 0, section: str | None = None) -> Log:
    """The values of a metric in a training log.

    The format is found out from the log itself; gzip, zstandard, UTF-16, colours, carriage returns and several records
    on a line are seen through. Memory grows with the number of records, not with what else the log holds.

    Args:
        path: a log; or a folder of a run, whose trace, ``scalars.json``, event files or only log is taken.
        metric: which one, by the log's own name or its last part; ``loss`` finds the training loss under any of its
            customary names. None reads all and takes the loss.
        rank: whose values: a rank's number, or ``mean`` for the mean over all of them.
        section: of a block file, which block: its name, ``reference`` or ``candidate``; None for the first.

    Returns:
        The log, with every decision that was taken on the way.

    Raises:
        LogError: it can't be opened or unpacked, no format is recognised, or it holds no such metric, rank or block.
    """
    place = find_log(Path(path))
    found = Gathering(keep=keeps(metric))
    kind = _read_any(place, metric, section, found)
    held = [name for name, column in found.columns.items() if len(column)]
    name = choose_metric(held or found.names, metric, place)
    if name not in found.columns or not len(found.columns[name]):
        raise LogError("the log holds no value of the metric", where=place, observed=name)
    settings = read_settings(_without_records(found.head, kind)) | read_settings_beside(place)
    series, numbered = settle(found.columns[name], found)
    chosen = mean_over_ranks(series, found) if rank == "mean" else require_rank(series, _as_rank(rank), place)
    if len(series) > 1 and rank != "mean":
        found.note(f"the log holds {len(series)} ranks ({_listed(series)}): rank {rank} was taken")
    window = int(settings.pop("smoothing window", _MMENGINE_WINDOW)) if kind.startswith("mmengine") else 1
    if window > 1:
        found.note(f"each value is mmengine's running mean over up to {window} iterations, not the iteration's own")
    if len(series) > 1:
        settings.setdefault("world size", str(len(series)))
    return Log(
        path=str(path),
        format=kind,
        metric=name,
        rank=rank,
        series=chosen,
        ranks=series,
        metrics=tuple(found.names),
        settings=settings,
        decisions=found.decisions,
        numbered=numbered,
        window=window,
    )


def _read_any(path: Path, metric: str | None, section: str | None, found: Gathering) -> str:
    """Gather a log of any format; returns which it was."""
    if path.is_dir() or EVENT_FILE in path.name:
        read_events(path, found)
        return "TensorBoard events"
    with open_log(path) as file:
        pieces = (clean(piece, found) for piece in whole_lines(file, found))
        first = next(pieces, b"")
        if not first.strip():
            raise LogError("the log is empty", where=path)
        return _read_pieces(_with_head(itertools.chain([first], pieces), found), first, path, metric, section, found)


def _read_pieces(
    pieces: Iterator[bytes], first: bytes, path: Path, metric: str | None, section: str | None, found: Gathering
) -> str:
    lines = first.strip().split(b"\n", 1)
    if _is_json_object(lines[0]):
        read_json_lines(pieces, found)
        return "mmengine scalars" if "data_time" in found.names else "JSON lines"
    if lines[0][:1] in (b"{", b"["):
        kind, pieces = _read_document(pieces, found)
        if kind:
            return kind
    if HEADING.search(first) and (section is not None or choose_dialect(first, metric) is None):
        return f"block file, {read_blocks(pieces, section, found, path)}"
    if looks_like_csv(first[:200_000]):
        read_csv(pieces, found)
        return "CSV"
    if looks_like_columns(first):
        read_columns(pieces, found)
        return "columns without a header"
    passed = 0
    for piece in pieces:
        if dialect := choose_dialect(piece, metric):
            read_text(itertools.chain([piece], pieces), dialect, found)
            return dialect.name
        passed += len(piece)
    raise LogError(
        "no record of a training was found in the log",
        where=path,
        observed=f"{passed:,} bytes, beginning with {first[:60]!r}",
        allowed="lines such as 'Iteration: 3  train.loss : 2.1', CSV with a header, JSON lines, event files",
        hint="--metric with the name that the log gives the loss",
    )


def _read_document(pieces: Iterator[bytes], found: Gathering) -> tuple[str, Iterator[bytes]]:
    """Gather one JSON document with the rows of a training in it; what it is, or nothing and the pieces untouched."""
    kept: list[bytes] = []
    for piece in pieces:
        kept.append(piece)
        if sum(map(len, kept)) > _LARGEST_DOCUMENT:
            return "", itertools.chain(kept, pieces)
    try:
        document = json.loads(b"".join(kept))
    except (ValueError, RecursionError):
        return "", iter(kept)
    rows = document.get("log_history", document) if isinstance(document, dict) else document
    rows = [rows] if isinstance(rows, dict) else rows
    read_rows((row for row in rows if isinstance(row, dict)), found)
    return "JSON document", iter(())


def _is_json_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _with_head(pieces: Iterator[bytes], found: Gathering) -> Iterator[bytes]:
    """The same pieces, the first of them kept for the settings in it."""
    for piece in pieces:
        if len(found.head) < HEAD:
            found.head += piece[: HEAD - len(found.head)]
        yield piece


def _without_records(head: bytes, kind: str) -> bytes:
    """What a log's first part prints besides its records."""
    marker = next((dialect.marker for dialect in DIALECTS if dialect.name == kind and dialect.opens), None)
    if marker is None:
        return head
    return b"\n".join(line for line in head.split(b"\n") if not marker.search(line))


def _as_rank(rank: int | str) -> int:
    try:
        return int(rank)
    except ValueError:
        raise LogError("that is no rank", observed=rank, allowed="a number, or mean") from None


def _listed(series: Mapping[int, Series]) -> str:
    numbers = sorted(series)
    return ", ".join(map(str, numbers)) if len(numbers) <= 8 else f"{numbers[0]} … {numbers[-1]}"
