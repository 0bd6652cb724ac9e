"""A pass over a data set: processes that each answer a share, and the counts of all of them together."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from harness.accuracy.label_table import LabelTable
from harness.accuracy.scores import Scores, score_images
from harness.evaluating.counts_stream import CountsOfRows, ImageRow, read_rows
from harness.evaluating.evaluation_folder import (
    DEVICE,
    ERROR,
    IDENTITY,
    ORDER,
    OUTPUT,
    answer_file,
    counts_files,
    export_file,
    margin_file,
)
from harness.evaluating.evaluation_order import EvaluationOrder
from harness.running.isolation import isolated_python
from harness.running.lifeline import watched
from harness.running.pool import Slot
from harness.running.told import Told
from harness.store.atomic import write_text
from harness.store.decoding import encode_value, read_value
from harness.values.bounds import Count
from harness.values.errors import AlignmentError, RunError, UsageError
from harness.values.provenance import Device

__all__ = ["Evaluation", "Identity", "evaluate", "file_digest", "read_evaluation"]

_SCHEMA = 1


@final
@dataclass(frozen=True)
class Identity:
    """What is evaluated, and how; two evaluations with other values here aren't parts of one.

    Args:
        case: the config's name.
        settings: SHA-256 of the model's settings as the config has them.
        checkpoint: SHA-256 of the file.
        data: the data set, its split and its place.
        images: SHA-256 of the images' names in order.
        count: how many images.
        inference: how the model is asked, in one line.
        device: as it was asked for.
        profile: of the emulated device.
        faults: that were put in.
        noise: healthy noise that was laid over it, ``tf32, repeat 2``; empty for none.
        table: the data set's labels.
    """

    case: str
    settings: str
    checkpoint: str
    data: str
    images: str
    count: Count
    inference: str
    device: str
    profile: str
    faults: tuple[str, ...]
    noise: str
    table: LabelTable

    def differences(self, other: Identity) -> list[str]:
        """The fields in which another one differs, each with both values."""
        names = [name for name in self.__dataclass_fields__ if name != "table"]
        return [
            f"{name}: {_short(getattr(self, name))} there, {_short(getattr(other, name))} now"
            for name in names
            if getattr(self, name) != getattr(other, name)
        ]


@final
@dataclass(frozen=True, eq=False)
class Evaluation:
    """An evaluation that is done.

    Args:
        folder: where it lies.
        identity: what was evaluated.
        rows: of its images, in the data set's order.
        device: that it ran on; None where none of its processes told.
        seconds: of wall-clock time, of the last command that worked at it.
        resumed: how many images were done before that command.
    """

    folder: Path
    identity: Identity
    rows: tuple[ImageRow, ...]
    device: Device | None
    seconds: float = 0.0
    resumed: int = 0

    @property
    def has_labels(self) -> bool:
        """Whether it can be scored."""
        return all(row.cells is not None for row in self.rows)

    @property
    def counts(self) -> CountsOfRows:
        """Of each image; one without labels raises a RunError when it is asked for."""
        return CountsOfRows(self.rows, self.identity.table)

    @property
    def scores(self) -> Scores:
        """Of the data set.

        Raises:
            DataError: there is no image.
        """
        return score_images(self.counts, self.identity.table)

    @property
    def images_a_second(self) -> float:
        """By the time that the model took, reading and scoring left out; of one process."""
        total = sum(row.seconds for row in self.rows)
        return len(self.rows) / total if total else 0.0


def evaluate(
    order: EvaluationOrder,
    identity: Identity,
    names: Sequence[str],
    folder: Path,
    *,
    processes: int = 1,
    stall: float = 900.0,
    on_image: Callable[[ImageRow], None] | None = None,
    slot: Slot | None = None,
) -> Evaluation:
    """Evaluate what of the images isn't done yet.

    Args:
        order: of the whole evaluation.
        identity: what is evaluated, for the folder.
        names: of all its images, in their order.
        folder: where counts go; an evaluation with the same identity goes on there.
        processes: how many share the images; on cards one each.
        stall: seconds without an image after which they are killed.
        on_image: called with each image as it is done.
        slot: the part of the machine that it has; all of it without one.

    Raises:
        UsageError: the folder holds another evaluation.
        RunError: a process crashed or hung; what it had done is kept.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _require_same(folder, identity)
    write_text(folder / IDENTITY, encode_value(identity, schema=_SCHEMA))
    done = _done(folder, order)
    wanted = range(len(names)) if order.images is None else order.images
    left = [index for index in wanted if names[index] not in done]
    started = time.monotonic()
    if left:
        shares = [tuple(left[part::processes]) for part in range(min(processes, len(left)))]
        slot = slot or Slot()
        with _running(order, shares, folder, slot) as children:
            _watch(children, folder, set(done), stall, on_image, slot)
    found = read_evaluation(folder)
    missing = [name for name in (names[index] for index in wanted) if name not in {row.image for row in found.rows}]
    if missing:
        raise RunError(
            "the evaluation ended before its end", observed=f"{len(missing)} images are missing", where=folder
        )
    place = {names[index]: number for number, index in enumerate(wanted)}
    rows = sorted((row for row in found.rows if row.image in place), key=lambda row: place[row.image])
    return replace(found, rows=tuple(rows), seconds=time.monotonic() - started, resumed=len(done.keys() & place.keys()))


def read_evaluation(folder: Path) -> Evaluation:
    """An evaluation that was made before.

    Raises:
        RunError: the folder holds none, or a damaged one.
    """
    hint = "align evaluate CONFIG CHECKPOINT --work-dir DIR"
    identity = read_value(folder / IDENTITY, Identity, RunError, schema=_SCHEMA, hint=hint)
    rows = read_rows(counts_files(folder))
    devices = sorted(folder.glob(DEVICE.format("*")))
    device = read_value(devices[0], Device, RunError, schema=1) if devices else None
    return Evaluation(folder, identity, tuple(rows.values()), device)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits.

    Raises:
        UsageError: it can't be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(2**20):
                digest.update(piece)
    except OSError as failure:
        raise UsageError("the checkpoint can't be read", where=path, observed=failure.strerror) from None
    return digest.hexdigest()


def _require_same(folder: Path, identity: Identity) -> None:
    if not (folder / IDENTITY).exists():
        return
    before = read_value(folder / IDENTITY, Identity, RunError, schema=_SCHEMA, hint=f"rm -r {folder}")
    if differences := before.differences(identity):
        raise UsageError(
            "the folder holds another evaluation",
            where=folder,
            observed="; ".join(differences),
            hint="--work-dir with another folder, or remove this one",
        )


def _done(folder: Path, order: EvaluationOrder) -> dict[str, ImageRow]:
    """The images that needn't be answered again: counted, and kept or exported where that is asked."""
    rows = read_rows(counts_files(folder))

    def is_whole(name: str) -> bool:
        kept = [answer_file(folder, name), *([margin_file(folder, name)] if order.keep_margins else [])]
        if order.export:
            kept.append(export_file(Path(order.export), name, order.export_ending))
        return all(path.exists() for path in kept)

    return {name: row for name, row in rows.items() if is_whole(name)}


@contextlib.contextmanager
def _running(
    order: EvaluationOrder, shares: Sequence[tuple[int, ...]], folder: Path, slot: Slot
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes for the shares, none of which outlives the block."""
    children: list[subprocess.Popen[bytes]] = []
    try:
        for part, share in enumerate(shares):
            device = order.device if len(shares) == 1 else _card(order.device, part)
            replace(order, images=share, part=part, device=device).write(folder / ORDER.format(part))
            (folder / ERROR.format(part)).unlink(missing_ok=True)
            with (folder / OUTPUT.format(part)).open("wb") as output:
                children.append(
                    subprocess.Popen(  # noqa: S603  # our own words; the config is the user's own program
                        isolated_python("harness.evaluating.evaluation_worker:main", str(folder), str(part)),
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        env={
                            "OMP_WAIT_POLICY": "PASSIVE",
                            **os.environ,
                            **slot.environment,
                            **watched(),
                            "PYTHONUNBUFFERED": "1",
                        },
                    )
                )
        yield children
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
            child.wait()


def _card(device: str, part: int) -> str:
    """The card of one of several processes; the host and the emulated device have no numbers."""
    from harness.devices.choice import choose_device

    choice = choose_device(device)
    if choice.index is not None or choice.type.is_host or choice.emulated:
        return device
    return f"{choice.name}:{part}"


def _watch(
    children: Sequence[subprocess.Popen[bytes]],
    folder: Path,
    told: set[str],
    stall: float,
    on_image: Callable[[ImageRow], None] | None,
    slot: Slot,
) -> None:
    """Follow the counts until all processes end; an error of one ends the others."""
    progressed = time.monotonic()
    sizes: dict[Path, int] = {}
    while True:
        ended = [child.poll() for child in children]
        fresh = _fresh(folder, sizes, told)
        for row in fresh:
            if on_image is not None:
                on_image(row)
        for part, code in enumerate(ended):
            if code:
                raise _failure(folder, part, code)
        if all(code == 0 for code in ended):
            return
        if slot.stop.is_set():
            raise RunError("the evaluation was ended, as the command that it belongs to was", where=folder)
        progressed = time.monotonic() if fresh else progressed
        if time.monotonic() - progressed > stall:
            raise RunError(
                "the evaluation was killed",
                observed=f"no image for {stall:.0f} s",
                where=folder / OUTPUT.format(0),
                hint="--stall-timeout S waits longer; the same command goes on where it was",
            )
        time.sleep(0.1)


def _fresh(folder: Path, sizes: dict[Path, int], told: set[str]) -> list[ImageRow]:
    """Rows that nobody was told of; files that haven't grown aren't read again."""
    grown = []
    for path in counts_files(folder):
        size = path.stat().st_size
        if sizes.get(path) != size:
            sizes[path] = size
            grown.append(path)
    rows = [row for name, row in read_rows(grown).items() if name not in told]
    told.update(row.image for row in rows)
    return rows


def _failure(folder: Path, part: int, code: int) -> AlignmentError:
    output = folder / OUTPUT.format(part)
    if (folder / ERROR.format(part)).exists():
        return read_value(folder / ERROR.format(part), Told, RunError, schema=Told.SCHEMA).as_error()
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
    return RunError(
        "a process of the evaluation crashed",
        where=output,
        observed=", ".join([how, *lines]),
        hint="the same command goes on where it was",
    )


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 and all(c in "0123456789abcdef" for c in text) else text
