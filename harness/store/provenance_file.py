"""Provenance as JSON."""

from __future__ import annotations

from pathlib import Path

from harness.store.atomic import write_text
from harness.store.decoding import convert_value, encode_value, read_value
from harness.values.errors import AlignmentError, TraceError
from harness.values.provenance import Provenance

__all__ = ["SCHEMA", "provenance_from_json", "read_provenance", "write_provenance"]

SCHEMA = 1


def provenance_from_json(document: object, where: object, error: type[AlignmentError] = TraceError) -> Provenance:
    """A provenance from plain values.

    Raises:
        AlignmentError: of the kind ``error``: a field is missing, unknown or of another type.
    """
    return convert_value(document, Provenance, where, error)


def write_provenance(path: Path, provenance: Provenance) -> None:
    """Write a provenance, whole or not at all."""
    write_text(path, encode_value(provenance, schema=SCHEMA))


def read_provenance(path: Path, error: type[AlignmentError] = TraceError) -> Provenance:
    """Read what ``write_provenance`` wrote.

    Raises:
        AlignmentError: of the kind ``error``: the file is missing or malformed.
    """
    return read_value(path, Provenance, error, schema=SCHEMA)
