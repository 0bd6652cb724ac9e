"""Reproductions on disk: programs, their inputs, and an index of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.store.atomic import LARGEST_FILE, read_bounded
from harness.values.errors import RunError
from harness.values.reproduction import Reproduction

__all__ = ["INDEX", "index_entry", "read_reproductions"]

INDEX = "index.json"
_FIELDS = ("number", "iteration", "part", "module", "op", "tensor", "note", "program")
_MOST = 100


def index_entry(found: Reproduction) -> dict[str, Any]:
    """What the index says of a reproduction; of its program the name of the file."""
    return {name: getattr(found, name) for name in _FIELDS}


def read_reproductions(folder: Path) -> tuple[Reproduction, ...]:
    """The reproductions that a run left, in the order of their numbers; none where it left no folder.

    Raises:
        RunError: the index or a file that it names is missing, too large, or something else.
    """
    path = folder / INDEX
    if not path.exists():
        return ()
    try:
        entries = json.loads(read_bounded(path, RunError))["reproductions"]
        if len(entries) > _MOST:
            raise ValueError(f"{len(entries)} entries")
        found = [_read(folder, entry) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as failure:
        raise RunError("the reproductions can't be read", where=path, observed=str(failure)) from None
    return tuple(sorted(found, key=lambda reproduction: reproduction.number))


def _read(folder: Path, entry: dict[str, Any]) -> Reproduction:
    number = int(entry["number"])
    whole = {name: str(entry[name]) for name in ("part", "module", "op", "tensor", "note")}
    program, inputs = "", b""
    if entry["program"]:
        program = read_bounded(folder / f"{number}.py", RunError)
        path = folder / f"{number}.safetensors"
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"{path.name} is too large")
        inputs = path.read_bytes()
    return Reproduction(number=number, iteration=int(entry["iteration"]), program=program, inputs=inputs, **whole)
