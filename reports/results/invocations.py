"""Results, by the invocation that they belong to: what was judged together, and what only lies together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.values.invocation import Invocation
from reports.results.result_record import Record

__all__ = ["Part", "describe", "describe_parts", "parts_of", "warnings_of"]


@dataclass(frozen=True, eq=False)
class Part:
    """The results of one invocation.

    Args:
        invocation: None for results that no command made.
        records: one or more, in their order.
    """

    invocation: Invocation | None
    records: tuple[Record, ...]


def parts_of(records: Iterable[Record]) -> tuple[Part, ...]:
    """The invocations that records belong to, the earliest first; those that no command made come last."""
    grouped: dict[str, list[Record]] = {}
    for record in records:
        grouped.setdefault(record.invocation.id if record.invocation else "", []).append(record)
    parts = [Part(found[0].invocation, tuple(found)) for found in grouped.values()]
    named = [part for part in parts if part.invocation is not None]
    return (*sorted(named, key=_began), *(part for part in parts if part.invocation is None))


def describe_parts(parts: Sequence[Part]) -> list[str]:
    """A line an invocation: how many results, when, where, by which command and which version; none where none is."""
    return [_describe(part) for part in parts] if any(part.invocation for part in parts) else []


def warnings_of(parts: Sequence[Part]) -> list[str]:
    """What a reader could take for one gate and is none; nothing where there is one invocation a machine."""
    known = [part.invocation for part in parts if part.invocation is not None]
    warnings = []
    for machine, count in Counter(invocation.machine for invocation in known).items():
        if count > 1:
            where = f" on {machine}" if machine else ""
            warnings.append(
                f"{count} invocations{where} lie together here: results of different times, not of one gate"
            )
    for (case, machine), count in Counter(
        (record.verdict.case, part.invocation.machine)
        for part in parts
        if part.invocation is not None
        for record in part.records
    ).items():
        if count > 1:
            on = f" on {machine}" if machine else ""
            warnings.append(f"{case} was judged {count} times{on}: each of its results counts")
    return [*warnings, *_of_the_gate([record for part in parts for record in part.records])]


def _of_the_gate(records: Sequence[Record]) -> list[str]:
    """Where the results are not one whole gate, by how many cases share its false-alarm rate."""
    rated = [(record.terms.false_alarm_rate, record.terms.gate_size) for record in records]
    known = [(rate, size) for rate, size in rated if rate is not None]
    if not known:
        return []
    warnings = []
    cases, size = len({record.verdict.case for record in records}), max(size for _, size in known)
    if cases < size:
        warnings.append(f"{cases} of the {size} cases of a gate {'lies' if cases == 1 else 'lie'} here")
    together, meant = sum(rate for rate, _ in known), max(rate * size for rate, size in known)
    if together > meant * (1 + 1e-9):
        warnings.append(
            f"a healthy port fails one of these results with a chance of up to {together:.3g}, not {meant:.3g}: each "
            f"was judged as one of {size}; --gate-size {len(known)} divides it"
        )
    return warnings


def _began(part: Part) -> str:
    return part.invocation.started if part.invocation is not None else ""


def describe(invocation: Invocation) -> str:
    """When, where, by which version and which command."""
    version = f"align {invocation.version}" if invocation.version else "align"
    commit = f", commit {invocation.commit}" if invocation.commit else ""
    command = f": {invocation.command}" if invocation.command else ""
    return f"{invocation.label}, {version}{commit}{command}"


def _describe(part: Part) -> str:
    number = len(part.records)
    results = f"{number} {'result' if number == 1 else 'results'}"
    if part.invocation is None:
        return f"{results} that no invocation is named for"
    planned = f" of {len(part.invocation.cases)} planned" if len(part.invocation.cases) not in {0, number} else ""
    return f"{results}{planned} of {describe(part.invocation)}"
