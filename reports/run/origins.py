"""Provenance side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.values.provenance import Provenance
from harness.values.verdict import Agreement
from reports.words.wording import NOTHING

__all__ = ["SideRow", "agreeing_settings", "sides_of"]


@dataclass(frozen=True)
class SideRow:
    """One property of both sides.

    Args:
        what: the property.
        reference: its value there, or a dash.
        candidate: its value there, or a dash.
        mark: whether it agrees, and whether it must; empty for what says when and how, which of course differs.
        differs: whether to point it out.
        breaks: whether the two are another experiment by it.
        named: whether ``what`` is a word of ours, and no name of a setting, a package or a variable.
    """

    what: str
    reference: str
    candidate: str
    mark: str = ""
    differs: bool = False
    breaks: bool = False
    named: bool = False


_ALSO = {
    "processes": "world size",
    "name": "device name",
    "kind": "device",
}
"""Where provenance and the comparison have two names for one property: provenance's → the comparison's."""


def sides_of(
    agreements: Sequence[Agreement], reference: Provenance | None, candidate: Provenance | None
) -> tuple[tuple[SideRow, ...], tuple[SideRow, ...]]:
    """What is known of both sides, each property once: those that differ, what must agree first; and the others.

    Args:
        agreements: what was compared.
        reference: where its runs come from.
        candidate: where its run comes from.
    """
    compared = [
        SideRow(
            row.what, row.reference, row.candidate, _mark(row), not row.agrees, row.required and not row.agrees, True
        )
        for row in sorted(agreements, key=lambda row: (row.agrees, not row.required))
    ]
    there = {row.what for row in compared}
    known = [
        row
        for row in _provenance_rows(reference, candidate)
        if not {row.what, _ALSO.get(row.what, row.what), f"${row.what}"} & there
    ]
    rows = [*compared, *known]
    return tuple(row for row in rows if row.differs), tuple(row for row in rows if not row.differs)


def _mark(row: Agreement) -> str:
    return "✓ equal" if row.agrees else "≠ must agree" if row.required else "≠ may differ"


def _provenance_rows(reference: Provenance | None, candidate: Provenance | None) -> Iterator[SideRow]:
    if reference is None and candidate is None:
        return
    both = reference is not None and candidate is not None
    for told in (_run, _device):
        yield from (replace(row, named=True) for row in _rows(told(reference), told(candidate), both))
    theirs, ours = _of(reference, "build"), _of(candidate, "build")
    for row in _rows(theirs, ours, both):
        # A part that one accelerator alone has is no difference of builds.
        yield row if row.what in theirs and row.what in ours else replace(row, mark="", differs=False)
    for name in ("versions", "environment", "host"):
        yield from _rows(_of(reference, name), _of(candidate, name), both)
    if reference is not None and candidate is not None:
        settings = _rows(reference.settings, candidate.settings, compared=True)
        yield from (row for row in settings if row.differs)
    yield from (replace(row, named=True) for row in _rows(_told(reference), _told(candidate), compared=False))


def agreeing_settings(reference: Provenance | None, candidate: Provenance | None) -> tuple[tuple[str, str], ...]:
    """The settings that both sides have with the same value."""
    if reference is None or candidate is None:
        return ()
    known = candidate.settings
    return tuple((name, value) for name, value in reference.settings.items() if known.get(name) == value)


def _rows(reference: Mapping[str, str], candidate: Mapping[str, str], compared: bool) -> tuple[SideRow, ...]:
    names = dict.fromkeys((*reference, *candidate))
    rows = []
    for name in names:
        differs = compared and reference.get(name) != candidate.get(name)
        mark = ("≠ differs" if differs else "✓ equal") if compared else ""
        rows.append(SideRow(name, reference.get(name) or NOTHING, candidate.get(name) or NOTHING, mark, differs))
    return tuple(rows)


def _of(provenance: Provenance | None, name: str) -> Mapping[str, str]:
    if provenance is None:
        return {}
    table: Mapping[str, str] = provenance.device.build if name == "build" else getattr(provenance, name)
    return table


def _run(provenance: Provenance | None) -> dict[str, str]:
    if provenance is None:
        return {}
    return {
        "case": provenance.case,
        "initial weights": provenance.weights,
        "seed": str(provenance.seed),
        "precision": provenance.precision,
        "processes": str(provenance.world_size),
        "global batch": str(provenance.global_batch),
        "iterations": str(provenance.iterations),
        "commit": provenance.commit,
    }


def _told(provenance: Provenance | None) -> dict[str, str]:
    return {} if provenance is None else {"started": provenance.started, "command": provenance.command}


def _device(provenance: Provenance | None) -> dict[str, str]:
    if provenance is None:
        return {}
    device = provenance.device
    return {
        "kind": device.kind,
        "name": device.name,
        "emulated": "EMULATED — no evidence about real hardware" if device.emulated else "no",
        "numerics profile": device.profile,
        "fault put in": device.fault,
    }
