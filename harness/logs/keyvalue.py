"""Lines that print names and numbers: the field's own formats, and whatever looks like them.

One reading covers ``TCAPPDLL … Epoch: 0 Iteration: 3 rank: 0 train.loss : 2.1``, mmengine's ``Iter(train) [ 50/40000] …
loss: 1.75`` and ``Epoch(train) [1][100/10010]``, ``Epoch [1/10], Iteration [3/100], Loss: 2.1``, ``Epoch[0]: train_loss
4.1`` and a bare ``Loss: 2.1``. Where a log holds one of the first two, only its lines count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.logs.gathering import UNKNOWN
from harness.logs.numerals import NUMBER, NUMBER_END

__all__ = ["DIALECTS", "Dialect", "Record", "read_line"]

_GAP = rb"[ \t]{0,12}"
_SIGN = rb"[\"']?" + _GAP + rb"[:=]?" + _GAP
_ITERATION_NAMES = rb"(?:iterations?|iters?|global[_ ]?steps?|steps?)"

_PAIRED = re.compile(
    rb"\bepoch(?:\(train\))?" + _GAP + rb":?" + _GAP + rb"\[" + _GAP + rb"(\d{1,18})(?:/\d{1,18})?\]" + _GAP
    + rb"\[" + _GAP + rb"(\d{1,18})" + _GAP + rb"/" + _GAP + rb"(\d{1,18})\]",
    re.IGNORECASE,
)  # fmt: skip
_EPOCH = re.compile(rb"\bepochs?" + _SIGN + rb"\[?" + _GAP + rb"(\d{1,18})(?![\d.])", re.IGNORECASE)
_ITERATION = re.compile(
    rb"\b" + _ITERATION_NAMES + rb"(?:\(train\))?" + _SIGN + rb"\[?" + _GAP + rb"(\d{1,18})(?![\d.])"
    rb"(?:" + _GAP + rb"/" + _GAP + rb"(\d{1,18}))?",
    re.IGNORECASE,
)
_RANK = re.compile(rb"(?<![a-z])(?:local_|global_)?rank" + _SIGN + rb"(\d{1,9})(?![\d.])", re.IGNORECASE)
_VALUE = re.compile(
    rb"(?<![\w./-])([A-Za-z_][\w./-]{0,99})[\"']?(?:" + _GAP + rb"[:=]" + _GAP + rb"|[ \t]{1,12})[\"']?(?:tensor\()?"
    rb"(" + NUMBER + rb")" + NUMBER_END
)
_PHASE = re.compile(
    rb"(?<![A-Za-z])(train|training|val|valid|validation|eval|evaluation|test)(?![A-Za-z])", re.IGNORECASE
)
_NO_METRIC = re.compile(rb"(?:local_|global_)?rank|epochs?|eta|" + _ITERATION_NAMES, re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """A kind of line.

    Args:
        name: in words.
        marker: every record of this kind holds it.
        opens: whether a record begins at the marker, so that several can stand on a line.
    """

    name: str
    marker: re.Pattern[bytes]
    opens: bool

    def naming(self, metric: str | None) -> Dialect:
        """The same kind of line, known by another metric than the loss."""
        if metric is None or "loss" in metric.lower():
            return self
        last = re.split(r"[./]", metric)[-1].encode("utf-8", "replace")
        return replace(self, marker=re.compile(re.escape(last), re.IGNORECASE))


DIALECTS = (
    Dialect("TCAPPDLL lines", re.compile(rb"TCAPPDLL"), opens=True),
    Dialect("mmengine text", re.compile(rb"(?:Iter|Epoch)\(train\)"), opens=True),
    Dialect("name and number lines", re.compile(rb"[lL]oss|LOSS"), opens=False),
)


@dataclass(frozen=True)
class Record:
    """What a line says of one iteration.

    Args:
        epoch: number, or UNKNOWN.
        iteration: number, or UNKNOWN.
        rank: number, or UNKNOWN.
        epoch_length: iterations of an epoch where the iteration is printed as one of an epoch's, else 0.
        values: metric → value, by the first mention.
        places: name → where its number begins in the line; for those that are printed once.
        contradictions: metrics that the record prints twice, with different values.
    """

    epoch: int
    iteration: int
    rank: int
    epoch_length: int
    values: dict[str, float]
    places: dict[str, int]
    contradictions: tuple[str, ...]


def read_line(line: bytes, dialect: Dialect) -> Iterator[Record]:
    """The records of a line, in their order."""
    cuts = _cuts(line, dialect)
    for start, end in zip(cuts, [*cuts[1:], len(line)], strict=True):
        record = _read_record(line, start, end, dialect)
        if record.values:
            yield record


def _cuts(line: bytes, dialect: Dialect) -> list[int]:
    """Where the line's records begin."""
    if dialect.opens:
        return [match.start() for match in dialect.marker.finditer(line)]
    iterations = list(_ITERATION.finditer(line))
    if len(iterations) < 2:
        return [0]
    value = dialect.marker.search(line)
    if value is not None and value.start() < iterations[0].start():
        return [0, *(match.end() for match in iterations[:-1])]
    epochs = [match.start() for match in _EPOCH.finditer(line)]
    starts = [match.start() for match in iterations]
    leads = len(epochs) == len(starts) and all(epoch < start for epoch, start in zip(epochs, starts, strict=True))
    return [0, *(epochs if leads else starts)[1:]]


def _read_record(line: bytes, start: int, end: int, dialect: Dialect) -> Record:
    places: dict[str, int] = {}

    def first(pattern: re.Pattern[bytes], name: str, begin: int = start) -> int:
        match = pattern.search(line, begin, end)
        if match is None:
            return UNKNOWN
        places[name] = match.start(1)
        return int(match[1])

    rank = first(_RANK, "rank")
    if rank == UNKNOWN and start > 0:  # torchrun puts it before the record: "[rank0]: …"
        match = _RANK.search(line, 0, start)
        rank = int(match[1]) if match else UNKNOWN
        places |= {"rank": match.start(1)} if match else {}
    length = 0
    if paired := _PAIRED.search(line, start, end):
        epoch, iteration, length = (int(text) for text in paired.groups())
        places |= {"epoch": paired.start(1), "iteration": paired.start(2)}
    else:
        epoch, iteration = first(_EPOCH, "epoch"), first(_ITERATION, "iteration")
    values: dict[str, float] = {}
    contradictions = []
    for match in _VALUE.finditer(line, start, end):
        if _NO_METRIC.fullmatch(match[1]):
            continue
        name, value = match[1].decode("utf-8", "replace"), float(match[2])
        if not dialect.opens and _in_validation(line, start, match.start(1)):
            name = f"val/{name}"
        if name not in values:
            values[name], places[name] = value, match.start(2)
        else:
            places.pop(name, None)
            if repr(values[name]) != repr(value):
                contradictions.append(name)
    return Record(epoch, iteration, rank, length, values, places, tuple(contradictions))


def _in_validation(line: bytes, start: int, name: int) -> bool:
    """Whether the last word before a metric that names a phase names another one than training."""
    phases = _PHASE.findall(line, start, name)
    return bool(phases) and not phases[-1].lower().startswith(b"train")
