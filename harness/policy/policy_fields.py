"""What a policy may say: each table, its keys, and what each key takes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from harness.devices.device_registry import device_names
from harness.values.precision import TIERS

__all__ = ["CASE", "DEFAULTS", "KNOWN", "TABLES", "Field"]


@dataclass(frozen=True)
class Field:
    """What a key takes.

    Args:
        convert: makes the value of what TOML holds; None where it isn't allowed.
        allowed: what is, in words.
        schema: what is, as JSON Schema has it.
        required: whether the table must have the key.
        known: the values that there are, where they are few: a near miss is told.
    """

    convert: Callable[[object], object | None]
    allowed: str
    schema: Mapping[str, Any]
    required: bool = False
    known: tuple[str, ...] = ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _texts(value: object) -> tuple[str, ...] | None:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(one, str) and one.strip() for one in values):
        return None
    return tuple(values)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(least: int) -> Field:
    def convert(value: object) -> int | None:
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else None

    return Field(convert, f"a whole number of at least {least}", {"type": "integer", "minimum": least})


def _jobs(value: object) -> int | None:
    """What ``--jobs`` takes."""
    return 0 if value == "auto" else _count(1).convert(value)  # type: ignore[return-value]  # it is a number


def _positive(value: object) -> float | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and 0 < float(value) < math.inf else None  # type: ignore[arg-type]  # a number


def _chance(value: object) -> float | None:
    found = _positive(value)
    return found if found is not None and found < 1 else None


def _date(value: object) -> date | None:
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def _one_of(*names: str) -> Field:
    def convert(value: object) -> str | None:
        return value if isinstance(value, str) and value in names else None

    return Field(convert, ", ".join(names), {"enum": list(names)}, known=names)


def _device(value: object) -> str | None:
    name = value.partition(":")[0] if isinstance(value, str) else ""
    return str(value) if name in device_names() else None


def _devices(value: object) -> tuple[str, ...] | None:
    names = _texts(value)
    return names if names is not None and all(name in device_names() for name in names) else None


def _iterations(value: object) -> str | None:
    """What ``--shadow`` takes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    found = isinstance(value, str) and re.fullmatch(r"auto|none|\d+(,\d+)*", value)
    return str(value) if found else None


def _assignments(value: object) -> list[str] | None:
    """What ``--cfg-options`` takes."""
    options = _texts(value)
    if options is None or not all(re.match(r"[^=\s]+=", option) for option in options):
        return None
    return list(options)


_SOME: Mapping[str, Any] = {"type": "string", "pattern": r"\S"}
_POSITIVE: Mapping[str, Any] = {"type": "number", "exclusiveMinimum": 0}
_TEXT = Field(_text, "a text that isn't empty", _SOME)
_FLAG = Field(_flag, "true or false", {"type": "boolean"})
_SECONDS = Field(_positive, "seconds, more than 0", _POSITIVE)


def _some_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """One, or a list of one or more."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


_DEVICES = Field(
    _devices,
    "devices' names, without an index: align doctor lists them",
    _some_of({"type": "string", "description": "a device's name"}),
    known=device_names(),
)

_OF_A_RUN: Mapping[str, Field] = {
    "profile": _TEXT,
    "tier": _one_of(*TIERS),
    "shadow": Field(
        _iterations,
        'auto, none, or numbers with commas between them: "0,1,10"',
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^(auto|none|[0-9]+(,[0-9]+)*)$"},
            ]
        },
        known=("auto", "none"),
    ),
    "forced": _FLAG,
    "iterations": _count(1),
    "amp": _FLAG,
    "compile": _TEXT,
    "reference": _TEXT,
    "baseline-dir": _TEXT,
    "cfg-options": Field(
        _assignments,
        'KEY=VALUE, or a list of them: ["optim_wrapper.optimizer.lr=0.01"]',
        _some_of({"type": "string", "pattern": r"^[^=\s]+="}),
    ),
    "no-baseline": _FLAG,
    "no-early-stop": _FLAG,
    "settle": _count(0),
    "launcher": _one_of("none", "pytorch"),
    "nproc-per-node": _count(1),
    "timeout": _SECONDS,
    "stall-timeout": _SECONDS,
}
"""Options that a default and a case may have, as the command line names them."""

DEFAULTS: Mapping[str, Field] = {
    **_OF_A_RUN,
    "device": Field(
        _device,
        "a device's name, with an index if wanted: align doctor lists them",
        {"type": "string", "description": "a device's name, with an index if wanted"},
        known=device_names(),
    ),
    "out": _TEXT,
    "work-dir": _TEXT,
    "false-alarm-rate": Field(_chance, "a chance: more than 0, less than 1", {**_POSITIVE, "exclusiveMaximum": 1}),
    "gate-size": _count(1),
    "jobs": Field(
        _jobs,
        "auto, or a whole number of at least 1",
        {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]},
        known=("auto",),
    ),
    "history": _TEXT,
    "build": _TEXT,
}

CASE: Mapping[str, Field] = {
    "name": Field(_text, "a case's name, or the path of a config", _SOME, required=True),
    "device": _DEVICES,
    "required": _FLAG,
    **_OF_A_RUN,
}

KNOWN: Mapping[str, Field] = {
    "case": Field(_text, "the name of a case of this policy", _SOME, required=True),
    "cause": Field(
        _texts,
        'a cause as the gate and align history name it, or a list: "shadow: mm *"',
        _some_of(_SOME),
        required=True,
    ),
    "reason": Field(_text, "why it is excused", _SOME, required=True),
    "owner": Field(_text, "who is to mend it", _SOME, required=True),
    "expires": Field(
        _date,
        "the last day on which it is excused: 2027-01-31, without quotes",
        {"type": "string", "format": "date", "description": "a date of TOML's, without quotes"},
        required=True,
    ),
    "device": _DEVICES,
}

TABLES: Mapping[str, Mapping[str, Field]] = {
    "defaults": DEFAULTS,
    "retries": {"inconclusive": _count(0)},
    "limits": {"case-seconds": _SECONDS, "gate-seconds": _SECONDS},
    "baselines": {
        "oldest-days": Field(_positive, "days, more than 0", _POSITIVE),
        "repeats": _count(5),
    },
}
"""The tables that stand once; ``cases`` and ``known`` are lists of tables."""
