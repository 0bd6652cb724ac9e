"""Provenance as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast, get_type_hints

from harness.store.atomic import read_bounded, write_text
from harness.values.errors import AlignmentError, TraceError
from harness.values.provenance import Device, Provenance

__all__ = ["provenance_from_json", "provenance_to_json", "read_provenance", "write_provenance"]


def provenance_to_json(provenance: Provenance) -> dict[str, Any]:
    """A provenance as plain values."""
    return asdict(provenance)


def provenance_from_json(document: object, where: object, error: type[AlignmentError] = TraceError) -> Provenance:
    """A provenance from plain values.

    Raises:
        AlignmentError: of the kind ``error``: a field is missing, unknown or of another type.
    """
    device = _build(Device, _mapping(_mapping(document, where, error).get("device"), where, error), where, error)
    values = {**_mapping(document, where, error), "device": device}
    return cast("Provenance", _build(Provenance, values, where, error))


def write_provenance(path: Path, provenance: Provenance) -> None:
    """Write a provenance, whole or not at all."""
    write_text(path, json.dumps(provenance_to_json(provenance), indent=1, ensure_ascii=False) + "\n")


def read_provenance(path: Path) -> Provenance:
    """Read what ``write_provenance`` wrote.

    Raises:
        TraceError: the file is missing or malformed.
    """
    try:
        return provenance_from_json(json.loads(read_bounded(path, TraceError)), path)
    except ValueError as failure:
        raise TraceError("the provenance is no JSON", where=path, observed=str(failure)) from None


def _mapping(value: object, where: object, error: type[AlignmentError]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise error("a part of the provenance is no mapping", where=where, observed=type(value).__name__)
    return value


def _build(kind: type[Any], values: Mapping[str, Any], where: object, error: type[AlignmentError]) -> Any:
    hints = get_type_hints(kind)
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(values) - known):
        raise error("the provenance has an unknown field", where=where, observed=unknown, allowed=sorted(known))
    for name, value in values.items():
        wanted = hints[name]
        if wanted in {str, int, bool}:
            fits = type(value) is wanted
        elif wanted is Device:
            fits = isinstance(value, Device)
        else:
            fits = isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)
        if not fits:
            raise error(
                "a field of the provenance has another type", where=f"{where}: {name}", observed=repr(value)[:80]
            )
    try:
        return kind(**values)
    except TypeError as failure:
        raise error("the provenance lacks a field", where=where, observed=str(failure)) from None
