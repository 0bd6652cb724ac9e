"""Reproductions on disk: programs, their inputs, and an index of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import msgspec

from harness.shadow.evidence.reproduction import Reproduction
from harness.store.atomic import read_bounded, read_bytes
from harness.store.decoding import read_value
from harness.values.bounds import Count
from harness.values.errors import RunError

__all__ = ["SCHEMA", "Index", "IndexEntry", "index_name", "read_reproductions"]

SCHEMA = 1

_MOST = 100

MOST_BYTES = 2**30
"""Of the inputs of all programs that are read: those past it stay where they are."""


def index_name(rank: int) -> str:
    """The file that lists what a process keeps."""
    return f"index.{rank}.json"


@dataclass(frozen=True)
class IndexEntry:
    """What the index says of a reproduction; see ``Reproduction``.

    Args:
        program: the name of its file; empty where it has none.
    """

    number: Count
    iteration: Count
    part: str
    module: str
    op: str
    tensor: str
    note: str = ""
    program: str = ""
    rank: Count = 0

    @classmethod
    def of(cls, found: Reproduction) -> IndexEntry:
        """The entry of a reproduction whose ``program`` is the name of the file."""
        return cls(**{each.name: getattr(found, each.name) for each in fields(cls)})


@dataclass(frozen=True)
class Index:
    """The reproductions that one process keeps."""

    reproductions: Annotated[tuple[IndexEntry, ...], msgspec.Meta(max_length=_MOST)]


def read_reproductions(folder: Path) -> tuple[Reproduction, ...]:
    """What every process of a run left, in the order of the numbers; none where they left no folder.

    Raises:
        RunError: an index or a file that it names is missing, too large, or something else.
    """
    found: list[Reproduction] = []
    left = MOST_BYTES
    for path in sorted(folder.glob("index.*.json"), key=lambda path: (len(path.name), path.name)):
        for entry in read_value(path, Index, RunError, schema=SCHEMA).reproductions:
            found.append(_read(folder, entry, left))
            left -= len(found[-1].inputs)
    if len({each.number for each in found}) < len(found):
        raise RunError("two reproductions have one number", where=folder)
    return tuple(sorted(found, key=lambda reproduction: reproduction.number))


def _read(folder: Path, entry: IndexEntry, left: int) -> Reproduction:
    program, inputs, note = "", b"", entry.note
    if entry.program:
        path = folder / f"{entry.number}.safetensors"
        size = _size(path)
        if size > left:
            note = f"{note} Its program stays with the run's files: there are too many.".strip()
        else:
            program = read_bounded(folder / f"{entry.number}.py", RunError)
            inputs = read_bytes(path, RunError)
    place = (entry.iteration, entry.part, entry.module, entry.op, entry.tensor)
    return Reproduction(entry.number, *place, note=note, program=program, inputs=inputs, rank=entry.rank)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as failure:
        raise RunError("a file is missing", where=path, observed=failure.strerror) from None
