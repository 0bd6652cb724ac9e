"""Many pairs of logs at once, from a folder or from a list."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.logs.blocks import looks_like_blocks
from harness.logs.compare import compare
from harness.logs.opening import open_log
from harness.pairs.joining import SLICES
from harness.store.atomic import read_bytes
from harness.values.errors import AlignmentError, LogError, UsageError
from harness.values.result import Result
from harness.values.terms import Against, Terms
from harness.values.verdict import Status, Verdict

__all__ = ["compare_many"]

_BEGIN, _END = r"(?:^|[._-]|(?<=[a-z0-9])(?=[A-Z]))", r"(?=$|[._-]|\d)"
_REFERENCE = re.compile(f"{_BEGIN}(?i:cuda|gpu|reference|ref|benchmark){_END}")
_DEVICES = (
    "sdaa", "npu", "ascend", "mlu", "musa", "rocm", "amd", "hip", "hpu", "gaudi", "xpu", "tpu", "xla", "mps", "dcu",
    "gcu", "neuron", "ipu", "maca",
)  # fmt: skip
_CANDIDATE = re.compile(f"{_BEGIN}(?i:{'|'.join(_DEVICES)}|candidate|cand){_END}")
_SIDES = {"reference": _REFERENCE, "candidate": _CANDIDATE}
_LOGS = re.compile(r"\.(?:log|txt|csv|json|jsonl|out)(?:\.gz|\.zst)?$|tfevents", re.IGNORECASE)
_COLUMNS = ("reference", "candidate")


@dataclass(frozen=True)
class _Pair:
    name: str
    reference: Path
    candidate: Path
    overrides: Mapping[str, Any]


def compare_many(source: Path, **settings: Any) -> list[Result]:
    """Judge all pairs of a folder or a list; a pair that can't be read is an ERROR among the results.

    Args:
        source: a folder in which, at any depth, ``<name>.cuda.log`` lies beside ``<name>.sdaa.log``, or ``cuda.log``
            beside ``sdaa.log``, or ``<name>Cuda.log`` beside ``<name>Sdaa.log``, or a block file holds both; ``sdaa``
            stands for npu, mlu, musa, rocm, hpu, xpu, tpu, xla, … and ``candidate``, too. Or a CSV file with the
            columns ``reference`` and ``candidate``, and if wanted ``name``, ``legacy``, ``metric`` and ``rank``; its
            paths start from its own folder.
        settings: as of ``compare``.

    Returns:
        One result a pair, by name.

    Raises:
        LogError: there is no pair, a log has no other side, or the list can't be read.
        UsageError: a setting in the list is not valid.
    """
    pairs = list(_in_folder(source) if source.is_dir() else _in_list(source))
    if not pairs:
        raise LogError(
            "there is no pair of logs", where=source, allowed="<name>.cuda.log beside <name>.sdaa.log, or a CSV list"
        )
    return [_judge(pair, settings) for pair in pairs]


def _judge(pair: _Pair, settings: Mapping[str, Any]) -> Result:
    try:
        return compare(pair.reference, pair.candidate, name=pair.name, **{**settings, **pair.overrides})
    except AlignmentError as error:
        return Result(
            Verdict(pair.name, Status.ERROR, str(error).replace("\n", ";")), terms=Terms(against=Against.LOGS)
        )


def _in_folder(folder: Path) -> Iterator[_Pair]:
    sides: dict[Path, dict[str, list[Path]]] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not _LOGS.search(path.name):
            continue
        named = [(side, pattern) for side, pattern in _SIDES.items() if pattern.search(path.name)]
        for side, pattern in named:
            key = path.parent.relative_to(folder) / re.sub(_LOGS, "", pattern.sub(".", path.name)).strip("._-")
            sides.setdefault(key, {}).setdefault(side, []).append(path)
        if not named and _is_block_file(path):
            key = path.parent.relative_to(folder) / re.sub(_LOGS, "", path.name)
            yield _Pair(key.as_posix(), path, path, {})
    for key, found in sides.items():
        if {side: len(paths) for side, paths in found.items()} != {"reference": 1, "candidate": 1}:
            raise LogError(
                "a log has no other side, or more than one",
                where=folder / key,
                observed=", ".join(str(path.relative_to(folder)) for paths in found.values() for path in paths),
                allowed="one log of the reference and one of the candidate",
                hint="a CSV list with the columns reference and candidate",
            )
        name = key.as_posix() if key.name else folder.resolve().name
        yield _Pair(name, found["reference"][0], found["candidate"][0], {})


def _is_block_file(path: Path) -> bool:
    """Whether a file holds both sides, each under a heading."""
    try:
        with open_log(path) as file:
            return looks_like_blocks(file.read(1 << 16))
    except LogError:
        return False


def _in_list(path: Path) -> Iterator[_Pair]:
    try:
        text = read_bytes(path, LogError).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise LogError("the list of pairs can't be read", where=path, observed=str(error)) from None
    for line, row in enumerate(rows, 2):
        if any(not row.get(column) for column in _COLUMNS):
            raise LogError("a row of the list names no pair", where=f"{path}:{line}", allowed="reference, candidate")
        name = row.get("name") or row["candidate"]
        yield _Pair(
            name, path.parent / row["reference"], path.parent / row["candidate"], _overrides(row, f"{path}:{line}")
        )


def _overrides(row: Mapping[str, str], where: str) -> dict[str, Any]:
    given: dict[str, Any] = {name: row[name] for name in ("legacy", "metric", "rank") if row.get(name)}
    if given.get("legacy", "all") not in SLICES:
        raise UsageError("there is no such slice", where=where, observed=given["legacy"], allowed=", ".join(SLICES))
    return given
