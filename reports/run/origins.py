"""Provenance side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.values.provenance import Provenance
from reports.words.wording import NOTHING

__all__ = ["OriginGroup", "OriginRow", "agreeing_settings", "origins"]


@dataclass(frozen=True)
class OriginRow:
    """One property of both sides.

    Args:
        what: the property.
        reference: its value there, or a dash.
        candidate: its value there, or a dash.
        differs: whether to point out that they differ.
    """

    what: str
    reference: str
    candidate: str
    differs: bool


@dataclass(frozen=True)
class OriginGroup:
    """Properties that belong together."""

    name: str
    rows: tuple[OriginRow, ...]


def origins(reference: Provenance | None, candidate: Provenance | None) -> tuple[OriginGroup, ...]:
    """What is known of both sides, group by group; settings only where they differ."""
    if reference is None and candidate is None:
        return ()
    both = reference is not None and candidate is not None
    groups = (
        OriginGroup("Run", _run_rows(reference, candidate)),
        OriginGroup("Device", _rows(_device(reference), _device(candidate), both)),
        OriginGroup("Accelerator build", _rows(_of(reference, "build"), _of(candidate, "build"), both)),
        OriginGroup("Versions", _rows(_of(reference, "versions"), _of(candidate, "versions"), both)),
        OriginGroup("Environment", _rows(_of(reference, "environment"), _of(candidate, "environment"), both)),
        OriginGroup("Host", _rows(_of(reference, "host"), _of(candidate, "host"), both)),
        OriginGroup("Settings that differ", _differing_settings(reference, candidate)),
    )
    return tuple(group for group in groups if group.rows)


def agreeing_settings(reference: Provenance | None, candidate: Provenance | None) -> tuple[tuple[str, str], ...]:
    """The settings that both sides have with the same value."""
    if reference is None or candidate is None:
        return ()
    known = candidate.settings
    return tuple((name, value) for name, value in reference.settings.items() if known.get(name) == value)


def _run_rows(reference: Provenance | None, candidate: Provenance | None) -> tuple[OriginRow, ...]:
    both = reference is not None and candidate is not None
    compared = _rows(_run(reference), _run(candidate), both)
    # These say when and how, not what: of course they differ.
    told = _rows(_told(reference), _told(candidate), compared=False)
    return (*compared, *told)


def _rows(reference: Mapping[str, str], candidate: Mapping[str, str], compared: bool) -> tuple[OriginRow, ...]:
    names = dict.fromkeys((*reference, *candidate))
    return tuple(
        OriginRow(
            what=name,
            reference=reference.get(name) or NOTHING,
            candidate=candidate.get(name) or NOTHING,
            differs=compared and reference.get(name) != candidate.get(name),
        )
        for name in names
    )


def _differing_settings(reference: Provenance | None, candidate: Provenance | None) -> tuple[OriginRow, ...]:
    if reference is None or candidate is None:
        return ()
    return tuple(row for row in _rows(reference.settings, candidate.settings, compared=True) if row.differs)


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
