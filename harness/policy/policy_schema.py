"""JSON schemas of what a gate reads and writes: the policy file, from the table that reads it, and ``gate.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.policy.gate_decision import Decision
from harness.policy.policy_fields import CASE, KNOWN, TABLES, Field
from harness.store.json_schema import json_schema

__all__ = ["SCHEMA", "GateContent", "gate_schema", "policy_schema"]

SCHEMA = 1
"""Of ``gate.json``."""


@dataclass(frozen=True)
class GateContent:
    """What a gate made of each case.

    Args:
        policy: path of the policy's file.
        device: that was judged.
        opens: whether the gate does: every case counts as PASS.
        cases: in the policy's order.
    """

    policy: str
    device: str
    opens: bool
    cases: tuple[Decision, ...]


def gate_schema() -> dict[str, Any]:
    """The schema of ``gate.json``."""
    return json_schema((GateContent,), "gate.json: what align gate made of each case", version=SCHEMA)


def policy_schema() -> dict[str, Any]:
    """The schema of a policy, ``alignment.toml`` or the table ``[tool.alignment]``, for editors that know TOML."""
    tables: dict[str, Any] = {name: _table(fields) for name, fields in TABLES.items()}
    lists = {name: {"type": "array", "items": _table(fields)} for name, fields in (("cases", CASE), ("known", KNOWN))}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "alignment.toml, or [tool.alignment] of pyproject.toml: what a project demands of a gate",
        "type": "object",
        "properties": {**tables, **lists},
        "additionalProperties": False,
    }


def _table(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"description": field.allowed, **field.schema} for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.required],
        "additionalProperties": False,
    }
