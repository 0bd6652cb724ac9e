"""Which of a log's metrics is meant: ``loss`` has many names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence

from harness.logs.tokens import words
from harness.values.errors import LogError

__all__ = ["choose_metric", "is_loss", "keeps"]

_LOSSES = (
    "loss", "lm loss", "train loss", "training loss", "loss train", "train loss step", "total loss", "train total loss",
    "loss total", "step loss", "reduced train loss", "trl", "celoss", "crossentropyloss", "train crossentropyloss",
    "train ce loss", "cross entropy", "train cross entropy", "nll", "nll loss",
)  # fmt: skip
"""What a training's loss is called, the likeliest first."""

_LOSS_WORDS = frozenset(map(words, _LOSSES))
_OTHER_PHASE = re.compile(r"(^|[^a-z])(val|valid|validation|eval|evaluation|test|dev)([^a-z]|$)")
_SMOOTHED = {"average", "avg", "averaged", "mean", "smooth", "smoothed", "running", "ema", "moving", "ave"}
_PARTIAL = {"aux", "auxiliary", "weighted", "pre", "scale"}
_LOSS_WORD = re.compile(r"(?:^|[^a-z])loss(?:es)?(?:[^a-z]|$)|loss$")


def is_loss(name: str) -> bool:
    """Whether a metric is a loss of any kind, by its name."""
    if words(name).endswith("scale"):
        return False
    return _LOSS_WORD.search(name.lower()) is not None or words(name) in _LOSSES


def keeps(metric: str | None, losses: Sequence[str] = ()) -> Callable[[str], bool]:
    """Whether a metric of a given name may be the one that is asked for; all may where None is.

    Args:
        metric: what is asked for.
        losses: what the log's format calls the loss.
    """
    if metric is None:
        return lambda name: True
    if metric == "loss":
        known = _LOSS_WORDS.union(map(words, losses))
        return lambda name: words(name) in known or words(name).endswith("loss")
    return lambda name: _same(name, metric)


def choose_metric(names: Iterable[str], metric: str | None, where: object, losses: Sequence[str] = ()) -> str:
    """The name that the log itself gives the metric.

    Args:
        names: of the metrics that the log holds.
        metric: what is asked for, in any case, with ``.``, ``/`` and ``_`` alike; a name's last part is enough. None is
            ``loss``.
        where: the log, for messages.
        losses: what the log's format calls the loss, the first that it holds.

    Raises:
        LogError: none of them is meant, or several may be.
    """
    wanted = metric or "loss"
    known = list(names)
    close = [name for name in known if name == wanted]
    if not close and wanted == "loss":
        close = _training_loss(known, losses)
    elif not close:
        same = [name for name in known if _same(name, wanted)]
        close = [name for name in same if words(name) == words(wanted)] or same
    if len(close) > 1 and not _OTHER_PHASE.search(wanted.lower()):
        close = [name for name in close if not _OTHER_PHASE.search(name.lower())] or close
    if len(close) == 1:
        return close[0]
    shown = close or [name for name in known if is_loss(name)] or known
    raise LogError(
        f"the log holds {'no' if not close else 'more than one'} metric that could be meant by {wanted!r}",
        where=where,
        observed=", ".join(shown[:12]) or "no metric at all",
        hint=_hint(close or [name for name in known if is_loss(name)], more=bool(close)),
    )


def _hint(losses: Sequence[str], *, more: bool) -> str | None:
    """What to ask for; of several runs' columns the reference's and the candidate's."""
    if not losses:
        return None
    first = f"--metric {shlex.quote(losses[0])}"
    several = [name for name in losses if " - " in name]
    if more and len(several) > 1:
        return f"{first} {shlex.quote(several[1])}"
    return first


def _training_loss(names: Sequence[str], losses: Sequence[str]) -> list[str]:
    """The training's loss: as the format calls it, by a customary name, or the only one that there is."""
    for loss in (*losses, *_LOSSES):
        if found := [name for name in names if words(name) == words(loss)]:
            return found[:1]
    whole = [name for name in names if words(name).endswith("loss") and not _OTHER_PHASE.search(name.lower())]
    own = [name for name in whole if not {*words(name).split(" ")} & (_SMOOTHED | _PARTIAL)]
    return own or [name for name in whole if not {*words(name).split(" ")} & _PARTIAL]


def _same(name: str, wanted: str) -> bool:
    mine, theirs = words(name), words(wanted)
    return mine == theirs or (bool(theirs) and mine.endswith(f" {theirs}") and theirs != "loss")
