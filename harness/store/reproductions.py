"""Reproductions on disk: programs, their inputs, and an index of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.store.atomic import LARGEST_FILE, read_bounded
from harness.values.errors import RunError
from harness.values.reproduction import Reproduction

__all__ = ["index_entry", "index_name", "read_reproductions"]

_FIELDS = ("number", "iteration", "part", "module", "op", "tensor", "note", "program", "rank")
_MOST = 100

MOST_BYTES = 2**30
"""Of the inputs of all programs that are read: those past it stay where they are."""


def index_name(rank: int) -> str:
    """The file that lists what a process keeps."""
    return f"index.{rank}.json"


def index_entry(found: Reproduction) -> dict[str, Any]:
    """What the index says of a reproduction; of its program the name of the file."""
    return {name: getattr(found, name) for name in _FIELDS}


def read_reproductions(folder: Path) -> tuple[Reproduction, ...]:
    """What every process of a run left, in the order of the numbers; none where they left no folder.

    Raises:
        RunError: an index or a file that it names is missing, too large, or something else.
    """
    found: list[Reproduction] = []
    left = MOST_BYTES
    for path in sorted(folder.glob("index.*.json"), key=lambda path: (len(path.name), path.name)):
        try:
            entries = json.loads(read_bounded(path, RunError))["reproductions"]
            if len(entries) > _MOST:
                raise ValueError(f"{len(entries)} entries")
            for entry in entries:
                found.append(_read(folder, entry, left))
                left -= len(found[-1].inputs)
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as failure:
            raise RunError("the reproductions can't be read", where=path, observed=str(failure)) from None
    if len({each.number for each in found}) < len(found):
        raise RunError("two reproductions have one number", where=folder)
    return tuple(sorted(found, key=lambda reproduction: reproduction.number))


def _read(folder: Path, entry: dict[str, Any], left: int) -> Reproduction:
    number = int(entry["number"])
    whole = {name: str(entry[name]) for name in ("part", "module", "op", "tensor", "note")}
    program, inputs = "", b""
    if entry["program"]:
        path = folder / f"{number}.safetensors"
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise ValueError(f"{path.name} is too large")
        if size > left:
            whole["note"] = f"{whole['note']} Its program stays with the run's files: there are too many.".strip()
        else:
            program, inputs = read_bounded(folder / f"{number}.py", RunError), path.read_bytes()
    rank, iteration = int(entry["rank"]), int(entry["iteration"])
    return Reproduction(number=number, iteration=iteration, program=program, inputs=inputs, rank=rank, **whole)
