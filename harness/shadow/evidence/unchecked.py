"""Calls of a shadowed step that weren't checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Unchecked", "modules_of", "reasons_of"]


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A call that wasn't checked, or not whole.

    Args:
        iteration: of the run, from 0.
        call: number of the call within the step, from 0.
        op: the operation.
        module: dotted path of the module that made the call, empty for none.
        why: not.
    """

    iteration: int
    call: int
    op: str
    module: str
    why: str


_REASONS_TOLD = 3


def reasons_of(unchecked: Iterable[Unchecked]) -> dict[str, str]:
    """Operation → why calls of it weren't checked; of many reasons the first few."""
    reasons: dict[str, dict[str, None]] = defaultdict(dict)
    for call in unchecked:
        reasons[call.op][call.why] = None
    return {op: _told(list(each)) for op, each in reasons.items()}


def modules_of(unchecked: Iterable[Unchecked]) -> dict[str, dict[str, int]]:
    """Operation → module → how many of its calls weren't checked there."""
    modules: dict[str, dict[str, int]] = defaultdict(dict)
    for call in unchecked:
        modules[call.op][call.module] = modules[call.op].get(call.module, 0) + 1
    return dict(modules)


def _told(reasons: Sequence[str]) -> str:
    others = len(reasons) - _REASONS_TOLD
    more = (
        [f"{others} further {'reasons' if others > 1 else 'reason'} in the run's shadow checks"] if others > 0 else []
    )
    return "; ".join([*reasons[:_REASONS_TOLD], *more])
