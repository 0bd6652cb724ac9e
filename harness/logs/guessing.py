"""The last resort: lines of no known format, read by their names and numbers. What it takes for what is said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.logs.gathering import UNKNOWN
from harness.logs.records import Record
from harness.logs.tokens import GLOBAL_STEPS, PHASE, PHASE_WORD, Token, find_rank, tokens, words

__all__ = ["GuessingReader"]

_STEPS = {"iteration", "iterations", "iter", "iters", "step", "steps", "it", "itr", "update", "updates"}
_BATCHES = {"batch", "batches", "mini batch", "minibatch"}
_BEFORE_STEPS = {
    "", "train", "training", "global", "current", "cur", "optim", "optimizer", "num", "n", "at", "info", "the", "of",
    "after", "in", "on", "this", "trainer", "total",
}  # fmt: skip
_EPOCHS = {"epoch", "epochs", "ep"}
_NO_METRIC = {"eta", "rank", "local rank", "global rank"}
_LOSS = re.compile(rb"[lL]oss|LOSS|\bnll\b|[cC]ross.?[eE]ntropy")
_LOSS_OR_STEP = re.compile(_LOSS.pattern + rb"|[sS]tep|[iI]ter|STEP|ITER")
_COMMA = re.compile(rb"(?<=\d),(?=\d)")


@dataclass(frozen=True)
class GuessingReader:
    """Reads lines that print names and numbers.

    Args:
        marker: something in each line that may hold a record.
        above: whether lines with a step and no loss number the losses that follow them.
        commas: whether a comma stands before decimals, as in 2,51.
    """

    marker: re.Pattern[bytes] = _LOSS
    above: bool = False
    commas: bool = False
    name: str = "name and number lines (guessed)"
    losses: tuple[str, ...] = ()
    window: int = 1
    anchors: tuple[bytes, ...] = (b":", b"=", b"|", b",", b" ")
    groups: bool = True

    def read_line(self, line: bytes) -> Iterator[Record]:
        """The records of a line, in their order."""
        if self.commas:
            line = _COMMA.sub(b".", line)
        found = [token for token in tokens(line) if token.name or token.total]
        if not found:
            return
        for number, group in enumerate(_records(found)):
            record = _record(line, group, begin=group[0].at if number else 0)
            if self.commas:
                record.places.clear()  # such numbers are not read in bulk
            if self.above and not _LOSS.search(line):
                record.values.clear()
            if record.values or (self.above and record.iteration != UNKNOWN):
                yield record

    def fit(self, sample: bytes) -> GuessingReader:
        """The same, fitted to how a log prints: steps on lines of their own, decimals behind commas.

        Args:
            sample: whole lines of the log.
        """
        commas = bool(_COMMA_DECIMAL.search(sample)) and not _POINT_DECIMAL.search(sample)
        fitted = replace(self, commas=commas)
        return replace(fitted, above=True, marker=_LOSS_OR_STEP) if _alternates(sample, fitted) else fitted


_COMMA_DECIMAL = re.compile(rb"[lL](?:oss|OSS)[\"' :=]{1,4}[-+]?(?:0,\d|\d{1,9},(?:\d{1,2}|\d{4,20})(?![\d,]))")
_POINT_DECIMAL = re.compile(rb"[lL](?:oss|OSS)[\"' :=]{1,4}[-+]?\d{0,9}\.\d")


def _alternates(sample: bytes, reader: GuessingReader) -> bool:
    """Whether each loss without a step of its own follows one line with a step and without a loss."""
    above = waiting = False
    losses = 0
    for line in sample.split(b"\n")[:2000]:
        if not _LOSS_OR_STEP.search(line):
            continue
        if not _LOSS.search(line):
            found = [token for token in tokens(line) if _is_step(token)]
            above = above or bool(found)
            waiting = waiting or bool(found)
            continue
        for record in reader.read_line(line):
            if not any("loss" in name.lower() for name in record.values):
                continue
            if record.iteration != UNKNOWN or not waiting:
                return False
            losses, waiting = losses + 1, False
    return above and losses > 0


def _records(found: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The tokens of each record of a line: a new one begins where the same name of a step comes again."""
    steps = [at for at, token in enumerate(found) if _is_step(token)]
    same = [at for at in steps if words(found[at].name) == words(found[steps[0]].name)] if steps else []
    if len(same) < 2:
        yield found
        return
    losses = [at for at, token in enumerate(found) if "loss" in token.name.lower()]
    if losses and losses[0] < same[0]:
        cuts = [0, *(at + 1 for at in same[:-1])]
    else:
        epochs = [at for at, token in enumerate(found) if _is_epoch(token)]
        leads = len(epochs) == len(same) and all(a < b for a, b in zip(epochs, same, strict=True))
        cuts = [0, *(epochs if leads else same)[1:]]
    for start, end in zip(cuts, [*cuts[1:], len(found)], strict=True):
        yield found[start:end]


def _record(line: bytes, group: Sequence[Token], begin: int) -> Record:
    record = Record()
    for number, token in enumerate(group):
        if _is_global_step(token):
            record.iteration, record.epoch, record.length = int(token.value), UNKNOWN, 0
            record.places["iteration"] = token.at
            record.places.pop("epoch", None)
            break
        if _is_epoch(token) and record.epoch == UNKNOWN:
            if token.value % 1 == 0:
                record.epoch, record.places["epoch"] = int(token.value), token.at
        elif record.iteration == UNKNOWN and (_is_step(token) or _is_in_brackets(group, number)):
            record.iteration, record.places["iteration"] = int(token.value), token.at
            record.length = token.total if _is_in_brackets(group, number) else 0
            record.total = token.total
    if record.iteration == UNKNOWN and (counters := _counters(group)):
        record.iteration, record.places["iteration"] = int(counters[-1].value), counters[-1].at
        record.length = record.total = counters[-1].total
        if len(counters) == 2:
            record.epoch, record.places["epoch"] = int(counters[0].value), counters[0].at
    _take_values(line, group, record, begin)
    if rank := find_rank(line, max(group[0].at - 20, 0), group[-1].at + 20):
        record.rank, record.places["rank"] = rank
    last = max((record.places[name] for name in record.values if name in record.places), default=0)
    record.guards = tuple(token.at for token in group if token.at < last)
    return record


def _counters(group: Sequence[Token]) -> list[Token]:
    """The ``10/600`` or ``[2/25][10/600]`` without names that begin a record: its step, or its epoch and its step."""
    counts = [token for token in group if not token.name and token.total and token.value % 1 == 0 and token.value >= 0]
    return counts if counts == list(group[: len(counts)]) and len(counts) in (1, 2) else []


def _take_values(line: bytes, group: Sequence[Token], record: Record, begin: int) -> None:
    """Take what is a metric; of another phase than training, under that phase's name."""
    other = False
    for token in group:
        if phases := PHASE_WORD.findall(line, begin, token.at):
            other = not phases[-1].lower().startswith(b"train")
        begin = token.at
        name = words(token.name)
        if (phase := PHASE.match(token.name.encode())) and name.split(" ")[-1] in {*_STEPS, *_EPOCHS, *_BATCHES}:
            other = not phase[0].lower().startswith(b"train")
        if token.name and not (_is_step(token) or _is_epoch(token) or name in _NO_METRIC):
            shown = f"val/{token.name}" if other and not PHASE.search(token.name.encode()) else token.name
            record.put(shown, token.value, token.at)


def _is_step(token: Token) -> bool:
    """Whether a token's name is one of an iteration number, whole or behind words that may stand before it."""
    if token.value < 0 or token.value % 1 or token.value > 1e15:
        return False
    name = words(token.name)
    if name in _BATCHES:
        return token.total > 0
    *before, last = name.split(" ") if name else [""]
    return last in _STEPS and (not before or before[-1] in _BEFORE_STEPS or name in GLOBAL_STEPS)


def _is_global_step(token: Token) -> bool:
    return words(token.name) in GLOBAL_STEPS and 0 <= token.value < 1e15 and token.value % 1 == 0


def _is_epoch(token: Token) -> bool:
    name = words(token.name).split(" ")
    return name[-1] in _EPOCHS and 0 <= token.value < 1e15 and (len(name) == 1 or name[-2] in _BEFORE_STEPS)


def _is_in_brackets(group: Sequence[Token], number: int) -> bool:
    """Whether a token is the ``3/100`` of ``Epoch [1][3/100]`` or ``Train: 0 [ 3/100]``."""
    token = group[number]
    if token.name or not token.total or not token.bracketed or not number:
        return False
    return _is_epoch(group[number - 1]) or words(group[number - 1].name).startswith("train")
