"""Two logs, read and judged: ``compare`` of the Python interface."""

from __future__ import annotations

import filecmp
import time
from collections.abc import Sequence
from pathlib import Path

from harness.logs.read import read_log
from harness.pairs.joining import SLICES
from harness.pairs.judge import judge_pair
from harness.pairs.log import Log
from harness.values.errors import UsageError
from harness.values.result import Result
from harness.values.terms import Against, Terms
from harness.values.trace import Trace

__all__ = ["compare"]


def compare(
    reference: str | Path,
    candidate: str | Path,
    *,
    metric: str = "loss",
    rank: int | str = 0,
    repeats: Sequence[str | Path] = (),
    legacy: str = "all",
    numpy_spelling: bool = False,
    name: str = "",
    command: str = "",
) -> Result:
    """Judge two existing training logs. Nothing is run.

    Args:
        reference: the trusted side's log, in any format that ``read_log`` reads.
        candidate: the ported side's log; a block file may be both.
        metric: which scalar of the logs.
        rank: whose values: a rank's number, or ``mean``.
        repeats: more logs of the reference, of other healthy runs: they make an envelope.
        legacy: what the legacy rule looks at: ``all``, ``last50``, ``first100`` or ``skip1`` of the common iterations.
        numpy_spelling: print the legacy rule's last line as under numpy ≥ 2.
        name: what to call the pair; the candidate's file name without it.
        command: what reproduces this, for the report.

    Returns:
        The verdict with its evidence, and the candidate's trace.

    Raises:
        LogError: a log can't be read.
        UsageError: there is no such legacy slice.
    """
    started = time.monotonic()
    if legacy not in SLICES:
        raise UsageError("there is no such slice", where="legacy", observed=legacy, allowed=", ".join(SLICES))
    one, other = Path(reference), Path(candidate)
    trusted, ported = read_side(one, "reference", metric, rank), read_side(other, "candidate", metric, rank)
    more = [read_side(Path(path), "reference", metric, rank) for path in repeats]
    verdict = judge_pair(
        name or _name(other),
        trusted,
        ported,
        more,
        legacy=legacy,
        numpy_spelling=numpy_spelling,
        copied=_copied(one, other, trusted, ported),
    )
    trace = Trace(ported.iterations, {"loss": ported.values}, planned=len(ported), complete=True)
    return Result(
        verdict=verdict,
        trace=trace,
        command=command,
        seconds=time.monotonic() - started,
        terms=Terms(against=Against.LOGS),
    )


def read_side(path: Path, side: str, metric: str, rank: int | str) -> Log:
    """One side's log; of a block file, the side's own block."""
    return read_log(path, metric=metric, rank=rank, section=side)


def _copied(one: Path, other: Path, trusted: Log, ported: Log) -> bool:
    """Whether both are one file, or copies of one; a table without clock times may well come out the same twice."""
    if trusted.format != ported.format:
        return False
    if one.exists() and other.exists() and one.samefile(other):
        return True
    timed = "lines" in trusted.format or trusted.format.startswith("mmengine")
    return timed and one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def _name(path: Path) -> str:
    name = path.name or path.resolve().name
    for ending in (".gz", ".zst", ".log", ".txt", ".csv", ".json", ".jsonl"):
        name = name.removesuffix(ending)
    return name or "pair"
