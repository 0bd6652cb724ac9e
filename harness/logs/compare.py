"""Two logs, read and judged: ``compare`` of the Python interface."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from harness.logs.limits import LIMITS, Limits
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
    metric: str | Sequence[str] = "loss",
    rank: int | str = 0,
    repeats: Sequence[str | Path] = (),
    legacy: str = "all",
    numpy_spelling: bool = False,
    name: str = "",
    command: str = "",
    epoch_length: int = 0,
    limits: Limits = LIMITS,
) -> Result:
    """Judge two existing training logs. Nothing is run.

    Args:
        reference: the trusted side's log, in any format that ``read_log`` reads.
        candidate: the ported side's log; a block file may be both, and so may a table with a column for each.
        metric: which scalar of the logs; two, where the sides give it different names.
        rank: whose values: a rank's number, or ``mean``.
        repeats: more logs of the reference, of other healthy runs: they make an envelope.
        legacy: what the legacy rule looks at: ``all``, ``last50``, ``first100`` or ``skip1`` of the common iterations.
        numpy_spelling: print the legacy rule's last line as under numpy ≥ 2.
        name: what to call the pair; the candidate's file name without it.
        command: what reproduces this, for the report.
        epoch_length: iterations of an epoch, for logs that count from each epoch's start and don't say how many.
        limits: what is read of a log at most.

    Returns:
        The verdict with its evidence, and the candidate's trace.

    Raises:
        LogError: a log can't be read.
        UsageError: there is no such legacy slice, or more than two metrics are named.
    """
    started = time.monotonic()
    if legacy not in SLICES:
        raise UsageError("there is no such slice", where="legacy", observed=legacy, allowed=", ".join(SLICES))
    metrics = [metric] if isinstance(metric, str) else list(metric)
    if not 1 <= len(metrics) <= 2:
        raise UsageError("a comparison has two sides", where="metric", observed=metrics, allowed="one name, or two")
    one, other = Path(reference), Path(candidate)
    if not str(reference) or not str(candidate):
        raise UsageError("a log's name is empty", allowed="a file, or the folder of a run")

    def read(path: Path, side: str, length: int = 0, first: int | None = None) -> Log:
        chosen = metrics[0] if side == "reference" else metrics[-1]
        return read_log(
            path, metric=chosen, rank=rank, section=side, epoch_length=length or epoch_length, first_epoch=first,
            limits=limits,
        )  # fmt: skip

    trusted, ported = read(one, "reference"), read(other, "candidate")
    more = [read(Path(path), "reference") for path in repeats]
    length, first = _common_epochs([trusted, ported, *more])
    if length:
        paths = [(one, "reference"), (other, "candidate"), *((Path(path), "reference") for path in repeats)]
        trusted, ported, *more = (
            read(path, side, length, first) if _differs(log, length, first) else log
            for log, (path, side) in zip([trusted, ported, *more], paths, strict=True)
        )
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


def _common_epochs(logs: Sequence[Log]) -> tuple[int, int | None]:
    """How long an epoch is taken to be, for logs that number iterations from its start: as one of them says, or as the
    largest of all; 0 where none does so. And the first epoch's number, where logs of one format begin with others.
    """  # noqa: D205  # one sentence
    counted = [log for log in logs if log.epoch_length]
    said = {log.epoch_length for log in counted if log.epoch_length_printed}
    if len(said) > 1 or not counted:
        return 0, None
    length = max(log.epoch_length for log in counted) if not said else next(iter(said))
    firsts = {log.first_epoch for log in counted}
    alike = len({log.format for log in counted}) == 1 and len(counted) > 1
    return length, min(firsts) if alike else None


def _differs(log: Log, length: int, first: int | None) -> bool:
    """Whether a log has to be read again, to be numbered as the others are."""
    return bool(log.epoch_length) and (log.epoch_length != length or first not in (None, log.first_epoch))


def _copied(one: Path, other: Path, trusted: Log, ported: Log) -> bool:
    """Whether both are one file, or copies of one, packed or not.

    A table without clock times may well come out the same twice: there the values say whether it is a copy.
    """
    if trusted.format != ported.format or trusted.metric != ported.metric:
        return False
    if one.exists() and other.exists() and one.samefile(other):
        return True
    return bool(trusted.clock) and trusted.head == ported.head and len(trusted) == len(ported)


def _name(path: Path) -> str:
    name = path.name or path.resolve().name
    for ending in (".gz", ".zst", ".log", ".txt", ".csv", ".json", ".jsonl"):
        name = name.removesuffix(ending)
    return name or "pair"
