"""Reads a training log without being told its format."""

from __future__ import annotations

import hashlib
import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.logs.blocks import looks_like_blocks, read_blocks
from harness.logs.choosing import choose_reader, guess_reader, names_in
from harness.logs.dicts import read_dicts
from harness.logs.documents import read_document
from harness.logs.events import EVENT_FILE, read_events
from harness.logs.formats import TRAINER_DICTS, LineFormat
from harness.logs.gathering import Gathering
from harness.logs.launchers import find_launcher
from harness.logs.limits import LIMITS, Limits
from harness.logs.metrics import choose_metric, is_loss, keeps
from harness.logs.opening import clean, open_log, whole_lines
from harness.logs.records import LineReader
from harness.logs.runs import find_log, read_settings_beside
from harness.logs.settings import HEAD, read_clock, read_settings
from harness.logs.settling import Numbering, mean_over_ranks, require_rank, settle
from harness.logs.text import read_text
from harness.pairs.log import Log, Series
from harness.values.errors import LogError

__all__ = ["read_log"]

_MMENGINE_WINDOW = 10  # iterations: mmengine's LogProcessor, unless its window_size says otherwise
_WANDB = b":W&B"
_STRAY = 0.05  # of the records of the most frequent loss
_SEARCHED = 1 << 30  # bytes in which the first record is looked for: a packed file may unpack to anything
_LOOKED_AHEAD = 8  # pieces in which a known format is looked for before one is guessed


def read_log(
    path: str | Path,
    *,
    metric: str | None = "loss",
    rank: int | str = 0,
    section: str | None = None,
    epoch_length: int = 0,
    first_epoch: int | None = None,
    limits: Limits = LIMITS,
) -> Log:
    """The values of a metric in a training log.

    The format is found out from the log itself; gzip, zstandard, UTF-16, colours, carriage returns and several records
    on a line are seen through. Memory grows with the number of records, not with what else the log holds.

    Args:
        path: a log; or a folder of a run, whose trace, ``scalars.json``, event files or only log is taken.
        metric: which one, by the log's own name or its last part; ``loss`` finds the training loss under any of its
            customary names. None reads all and takes the loss.
        rank: whose values: a rank's number, or ``mean`` for the mean over all of them.
        section: of a block file, which block: its name, ``reference`` or ``candidate``; None for the first.
        epoch_length: iterations of an epoch, for a log that numbers them from each epoch's start and doesn't say how
            many there are; 0 for what the log says, or else its largest iteration.
        first_epoch: the number of the first epoch, 0 or 1; by default found out.
        limits: what is read at most.

    Returns:
        The log, with every decision that was taken on the way.

    Raises:
        LogError: it can't be opened or unpacked, no format is recognised, it is larger than the limits, or it holds no
            such metric, rank or block.
    """
    if not str(path):
        raise LogError("a log's name is empty", allowed="a file, or the folder of a run")
    place = find_log(Path(path))
    found = Gathering(keep=keeps(metric), most_records=limits.records)
    kind = _read_any(place, metric, section, found, limits)
    held = [name for name, column in found.columns.items() if len(column)]
    if kind.guessed and metric in (None, "loss"):
        held = _without_strays(held, found)
    name = choose_metric(held or found.names, metric, place, kind.losses)
    if name not in found.columns or not len(found.columns[name]):
        raise LogError("the log holds no value of the metric", where=place, observed=name)
    settings = read_settings(found.head) | read_settings_beside(place)
    numbering = Numbering(epoch_length, first_epoch)
    series = settle(found.columns[name], found, numbering)
    if rank == 0 and len(series) == 1 and 0 not in series:
        rank = next(iter(series))
        found.note(f"the log holds rank {rank} alone: it was taken")
    chosen = mean_over_ranks(series, found) if rank == "mean" else require_rank(series, _as_rank(rank), place)
    if len(series) > 1 and rank != "mean":
        found.note(f"the log holds {len(series)} ranks ({_listed(series)}): rank {rank} was taken")
    window = _window(kind, settings, found)
    if len(series) > 1:
        settings.setdefault("world size", str(len(series)))
    return Log(
        path=str(path),
        format=kind.name,
        metric=name,
        rank=rank,
        series=chosen,
        ranks=series,
        metrics=tuple(found.names),
        settings=settings,
        decisions=found.decisions,
        numbered=numbering.printed,
        window=window,
        guessed=kind.guessed,
        losses=tuple(other for other in found.names if other != name and is_loss(other)),
        lacking=found.lacking,
        by_epoch=numbering.by_epoch,
        epoch_length=numbering.epoch_length,
        epoch_length_printed=numbering.epoch_length_printed,
        first_epoch=numbering.first_epoch or 0,
        clock=read_clock(found.head),
        head=hashlib.sha256(found.head).hexdigest() if found.head else "",
    )


@dataclass(frozen=True)
class _Kind:
    """Which format a log was read as."""

    name: str
    losses: tuple[str, ...] = ()
    window: int = 1
    guessed: bool = False


def _read_any(path: Path, metric: str | None, section: str | None, found: Gathering, limits: Limits) -> _Kind:
    """Gather a log of any format; returns which it was."""
    if path.is_dir() or EVENT_FILE in path.name:
        read_events(path, found)
        return _Kind("TensorBoard events")
    with open_log(path) as file:
        raw = whole_lines(file, found, limits.size)
        pieces = (clean(piece, found) for piece in raw)
        first, passed = b"", 0
        for piece in raw:
            first, passed = clean(piece, found), passed + len(piece)
            if first.strip():
                break
            if passed > _SEARCHED:
                raise LogError("the log's first part is empty", where=path, observed=f"{passed:,} bytes without text")
        if not first.strip():
            raise LogError("the log is empty", where=path)
        whole = _with_head(itertools.chain([first], pieces), found)
        if launcher := find_launcher(first, found):
            first, whole = launcher.take_off(first), map(launcher.take_off, whole)
        return _read_pieces(whole, first, path, metric, section, found)


def _read_pieces(
    pieces: Iterator[bytes], first: bytes, path: Path, metric: str | None, section: str | None, found: Gathering
) -> _Kind:
    if first.startswith(_WANDB):
        raise LogError(
            "the file is Weights & Biases' own record of a run, which only its own program reads",
            where=path,
            allowed="its history as JSON lines or CSV",
            hint=f"wandb sync {shlex.quote(str(path.parent))}, then the export of the run's chart as CSV",
        )
    lines = first.strip().split(b"\n", 2)
    if lines[0][:1] in (b"{", b"[") and not (len(lines) > 1 and lines[0].endswith(b"}") and lines[1][:1] == b"{"):
        kind, kept = read_document(pieces, found, path)
        if kind:
            return _Kind(kind)
        pieces = itertools.chain(kept, pieces)
    if looks_like_blocks(first):
        return _Kind(f"block file, {read_blocks(pieces, section, found, path)}")
    ahead: list[bytes] = []
    for piece in itertools.islice(pieces, _LOOKED_AHEAD):
        ahead.append(piece)
        if reader := choose_reader(piece, metric, path):
            return _read_lines(itertools.chain(ahead, pieces), reader, metric, found)
    passed = 0
    rest = itertools.chain(ahead, pieces)
    for piece in rest:
        if guess := guess_reader(piece, metric):
            found.note("the format is none that is known: names and numbers were read as they stand")
            return _read_lines(itertools.chain([piece], rest), guess, metric, found, guessed=True)
        passed += len(piece)
        if passed > _SEARCHED:
            raise LogError(
                "no record of a training's loss was found in the log's first part",
                where=path,
                observed=f"{passed:,} bytes, beginning {first[:60]!r}",
                allowed=f"a first record within {_SEARCHED / 2**30:.3g} GiB",
                hint="cut off what stands before the training",
            )
    names = names_in(first)
    raise LogError(
        "no record of a training's loss was found in the log",
        where=path,
        observed=f"{', '.join(names[:12])} beside numbers" if names else f"{passed:,} bytes, beginning {first[:60]!r}",
        allowed="lines such as 'Iteration: 3  train.loss : 2.1', CSV with a header, JSON lines, event files",
        hint="--metric with one of these names, if it is the loss" if names else None,
    )


def _read_lines(
    pieces: Iterator[bytes], reader: LineReader, metric: str | None, found: Gathering, *, guessed: bool = False
) -> _Kind:
    found.keep = keeps(metric, reader.losses)
    found.states = isinstance(reader, LineFormat) and reader.states
    if reader.name == TRAINER_DICTS:
        read_dicts(pieces, found)
    else:
        read_text(pieces, reader, metric, found)
    return _Kind(reader.name, reader.losses, reader.window, guessed)


def _without_strays(names: Sequence[str], found: Gathering) -> list[str]:
    """Metrics without those that a sentence or two of a guessed log seem to print, beside a loss of many records."""
    most = max((len(found.columns[name]) for name in names if is_loss(name)), default=0)
    return [name for name in names if len(found.columns[name]) > most * _STRAY]


def _window(kind: _Kind, settings: dict[str, str], found: Gathering) -> int:
    """Over how many iterations a value is a mean or a median, and says so."""
    window = kind.window
    if kind.name.startswith("mmengine"):
        window = int(settings.pop("smoothing window", _MMENGINE_WINDOW))
        if window > 1:
            found.note(f"each value is mmengine's running mean over up to {window} iterations, not the iteration's own")
    elif kind.name == "Ultralytics text":
        found.note("each value is the mean over its epoch of the first loss that the log's header names")
    elif kind.name.startswith("Keras progress"):
        found.note("each value is a running mean over its epoch so far, not the iteration's own")
    elif window > 1:
        found.note(f"each value is a median over up to {window} iterations, not the iteration's own")
    return window


def _with_head(pieces: Iterator[bytes], found: Gathering) -> Iterator[bytes]:
    """The same pieces, the first of them kept for the settings in it."""
    for piece in pieces:
        if len(found.head) < HEAD:
            found.head += piece[: HEAD - len(found.head)]
        yield piece


def _as_rank(rank: int | str) -> int:
    try:
        return int(rank)
    except ValueError:
        raise LogError("that is no rank", observed=rank, allowed="a number, or mean") from None


def _listed(series: Mapping[int, Series]) -> str:
    numbers = sorted(series)
    return ", ".join(map(str, numbers)) if len(numbers) <= 8 else f"{numbers[0]} … {numbers[-1]}"
