"""Causes across cases: which failures of an index are one fault.

Two causes of shadow ops in two cases are one where they name the same kernel, overlapping results, and the same factor,
format or nothing at all; where the error is of the values, an attribute that both allow. Cases differ in what they can
tell, so an attribute is compared with all that hold for the same calls.
Of a failure without a cause of shadow ops the first rule that it violates stands for it; where there is one, an
envelope that is left follows from it, and is no cause of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.rules.causes import causes_of
from harness.shadow.evidence.cause import Cause, kernel_of
from harness.values.verdict import Status, Verdict

__all__ = ["CauseGroup", "group_causes", "summary_of"]

_EXACT = re.compile(r"[\d.]+ % too (large|small)|[\d.]+ times as large as they should be|zero|stored with \d+ .*")
"""Errors that are equal from case to case: a factor, nothing at all, a format. Others are of the values."""


@dataclass(frozen=True)
class CauseGroup:
    """One fault, as far as can be told, and the failures that it explains.

    Args:
        sentence: the cause, as the first of the cases tells it.
        cases: numbers of the failures, in their order.
        evidence: of each of them.
    """

    sentence: str
    cases: tuple[int, ...]
    evidence: tuple[str, ...]


@dataclass
class _Open:
    """A group that others may join."""

    first: Cause | str
    attributes: frozenset[str]
    members: dict[int, str] = field(default_factory=dict)


def group_causes(verdicts: Sequence[Verdict]) -> tuple[CauseGroup, ...]:
    """The causes of those verdicts that are FAIL, the one that explains most first.

    Args:
        verdicts: numbered from 0 in their order; those that aren't FAIL have no cause.
    """
    found: list[_Open] = []
    for number, verdict in enumerate(verdicts):
        if verdict.status is not Status.FAIL:
            continue
        for cause, evidence in _causes(verdict):
            others = (each for each in found if number not in each.members)  # two causes of one case are two
            group = next((each for each in others if _is_one(each, cause)), None)
            if group is None:
                group = _Open(cause, _attributes(cause))
                found.append(group)
            elif not group.attributes:
                group.attributes = _attributes(cause)
            elif common := group.attributes & _attributes(cause):
                group.attributes = common
            group.members.setdefault(number, evidence)
    groups = [CauseGroup(_sentence(each), tuple(each.members), tuple(each.members.values())) for each in found]
    return tuple(sorted(groups, key=lambda group: (-len(group.cases), group.cases)))


def summary_of(groups: Sequence[CauseGroup]) -> str:
    """How many causes explain how many failures: ``1 cause explains 41 of 43 failures``; empty where nothing failed."""
    failures = {number for group in groups for number in group.cases}
    if not failures:
        return ""
    largest = len(groups[0].cases)
    if len(groups) == 1:
        return f"1 cause explains {_failures(largest)}"
    if largest > 1:
        return f"{len(groups)} causes explain {_failures(len(failures))}, the first {largest} of them"
    return f"{len(groups)} causes explain {_failures(len(failures))}"


def _failures(count: int) -> str:
    return f"{count} {'failure' if count == 1 else 'failures'}"


def _causes(verdict: Verdict) -> list[tuple[Cause | str, str]]:
    """The causes of shadow ops with their evidence, or the first rule that is violated."""
    if verdict.shadow is not None and verdict.shadow.causes:
        first = min(cause.iteration for cause in verdict.shadow.causes)
        return [(cause, cause.evidence) for cause in verdict.shadow.causes if cause.iteration == first]
    return [(name, verdict.reason) for name in causes_of(verdict)[:1]]


def _is_one(group: _Open, cause: Cause | str) -> bool:
    known = group.first
    if isinstance(known, str) or isinstance(cause, str):
        return known == cause
    same_place = kernel_of(known.ops[0]) == kernel_of(cause.ops[0]) and bool({*known.tensors} & {*cause.tensors})
    error = _error(known)
    return same_place and error == _error(cause) and (bool(error) or _agree(group.attributes, _attributes(cause)))


def _agree(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two sets of attributes have one in common; where a case could tell none it agrees with any."""
    return not one or not other or bool(one & other)


def _attributes(cause: Cause | str) -> frozenset[str]:
    if isinstance(cause, str) or not cause.attribute:
        return frozenset()
    return frozenset({cause.attribute, *cause.equals})


def _error(cause: Cause) -> str:
    return cause.error if _EXACT.fullmatch(cause.error) else ""


def _sentence(group: _Open) -> str:
    first = group.first
    if isinstance(first, str):
        return first
    told = first.sentence
    return told if first.attribute or not group.attributes else f"{told} ({min(group.attributes)})"
