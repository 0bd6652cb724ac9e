"""Which of a log's metrics is meant: ``loss`` has many names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from harness.values.errors import LogError

__all__ = ["choose_metric", "keeps"]

_LOSSES = ("loss", "train loss", "training loss", "loss train", "train total loss", "total loss", "loss total")
_OTHER_PHASE = re.compile(r"(^|[^a-z])(val|valid|validation|eval|evaluation|test)([^a-z]|$)")


def keeps(metric: str | None) -> Callable[[str], bool]:
    """Whether a metric of a given name may be the one that is asked for; all may where None is."""
    if metric is None:
        return lambda name: True
    if metric == "loss":
        return lambda name: _words(name).endswith("loss") or _words(name) in _LOSSES
    return lambda name: _same(name, metric)


def choose_metric(names: Iterable[str], metric: str | None, where: object) -> str:
    """The name that the log itself gives the metric.

    Args:
        names: of the metrics that the log holds.
        metric: what is asked for, in any case, with ``.``, ``/`` and ``_`` alike; a name's last part is enough. None is
            ``loss``.
        where: the log, for messages.

    Raises:
        LogError: none of them is meant, or several may be.
    """
    wanted = metric or "loss"
    known = list(names)
    exact = [name for name in known if name == wanted]
    close = exact or [name for name in known if _same(name, wanted)]
    if not close and wanted == "loss":
        ranked = [name for loss in _LOSSES for name in known if _words(name) == loss]
        close = ranked[:1] or [name for name in known if _words(name).endswith("loss") and not _of_other_phase(name)]
    if len(close) > 1:
        close = [name for name in close if not _of_other_phase(name)] or close
    if len(close) == 1:
        return close[0]
    raise LogError(
        f"the log holds {'no' if not close else 'more than one'} metric that could be meant by {wanted!r}",
        where=where,
        observed=", ".join((close or known)[:12]) or "no metric at all",
        hint="--metric with the name of one",
    )


def _same(name: str, wanted: str) -> bool:
    mine, theirs = _words(name), _words(wanted)
    return mine == theirs or (mine.endswith(f" {theirs}") and theirs != "loss")


def _words(name: str) -> str:
    return " ".join(re.split(r"[^a-z0-9]+", name.lower())).strip()


def _of_other_phase(name: str) -> bool:
    return _OTHER_PHASE.search(name.lower()) is not None
