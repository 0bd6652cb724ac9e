"""How a fault is written on the command line: `NAME[@iteration][#card][:severity]`."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import replace

from harness.lab.faults.catalogue import FAULTS
from harness.lab.faults.fault import Fault
from harness.values.errors import UsageError

__all__ = ["parse_fault"]

_NOTATION = re.compile(r"(?P<name>[^@:#]+)(@(?P<begins>[^:#]*))?(#(?P<card>[^:]*))?(:(?P<severity>.*))?", re.DOTALL)


def parse_fault(text: str) -> Fault:
    """The fault of that name, with the iteration, card and severity that the text sets.

    Args:
        text: such as `conv-wgrad-x1.05`, `conv-wgrad-x1.05@10`, `conv-wgrad-x1.05@10:1.2` or, on the third device of
            the emulated card alone, `conv-wgrad-x1.05#2`.

    Raises:
        UsageError: the notation is broken, no fault has that name, or the severity isn't one that the fault can have.
    """
    parts = _NOTATION.fullmatch(text.strip())
    if parts is None:
        notation = "NAME[@iteration][#card][:severity]"
        raise UsageError("a fault can't be read", where="--fault", observed=text, allowed=notation)
    fault = _named(parts["name"].strip())
    if parts["begins"] is not None:
        fault = replace(fault, begins=_iteration(text, parts["begins"]))
    if parts["card"] is not None:
        fault = replace(fault, card=_card(text, parts["card"]))
    if parts["severity"] is not None:
        fault = replace(fault, severity=_severity(fault, parts["severity"]))
    return fault


def _named(name: str) -> Fault:
    try:
        return FAULTS[name]
    except KeyError:
        close = difflib.get_close_matches(name, FAULTS, n=3, cutoff=0.5)
        raise UsageError(
            "no fault has that name",
            where="--fault",
            observed=name,
            allowed=", ".join(close) if close else f"one of {len(FAULTS)} names",
            hint="align faults --names",
        ) from None


def _iteration(text: str, begins: str) -> int:
    if not begins.isdecimal():
        raise UsageError(
            "a fault begins at an iteration, counted from 0",
            where=f"--fault {text}",
            observed=f"@{begins}",
            allowed="@0, @1, …",
        )
    return int(begins)


def _card(text: str, card: str) -> int:
    if not card.isdecimal():
        raise UsageError(
            "a fault strikes one device of the emulated card, counted from 0",
            where=f"--fault {text}",
            observed=f"#{card}",
            allowed="#0, #1, …",
        )
    return int(card)


def _severity(fault: Fault, severity: str) -> float:
    if fault.severity is None:
        raise UsageError(
            "this fault has no severity to set",
            where=f"--fault {fault.name}",
            observed=f":{severity}",
            allowed=fault.name,
        )
    try:
        value = float(severity)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(
            "a severity is a finite number",
            where=f"--fault {fault.name}",
            observed=f":{severity}",
            allowed=f"{fault.severity_means}, such as :{fault.severity!r}",
        )
    return value
