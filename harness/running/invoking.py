"""The identity of a command's call, and how one process hands it to those that make its results."""

from __future__ import annotations

import json
import os
import platform
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import harness
from harness.devices.surroundings import git_commit
from harness.store.decoding import decode_value, encode_value
from harness.values.errors import UsageError
from harness.values.invocation import Invocation

__all__ = ["VARIABLE", "begin_invocation", "handed_on"]

VARIABLE = "ALIGN_INVOCATION"
"""The environment variable by which a command takes part in an invocation that another process began."""


def begin_invocation(command: str, cases: Sequence[str]) -> Invocation:
    """The invocation that this process is part of, or a new one.

    Args:
        command: the command line.
        cases: what it is to judge.

    Raises:
        UsageError: the environment hands one on that can't be read.
    """
    if text := os.environ.get(VARIABLE):
        return _taken(text)
    return Invocation(
        id=uuid.uuid4().hex,
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=command,
        machine=platform.node(),
        version=_version(),
        commit=git_commit(Path(harness.__file__).parent, but_for="baselines"),
        cases=tuple(cases),
    )


def handed_on(invocation: Invocation) -> str:
    """The value of ``VARIABLE`` for processes that take part in it: ASCII, which every environment can hold."""
    return json.dumps(json.loads(encode_value(invocation, indent=None)))


def _taken(text: str) -> Invocation:
    try:
        found = decode_value(text.encode("utf-8", "surrogateescape"), Invocation, f"${VARIABLE}", UsageError)
        if not found.id:
            raise UsageError("it has no id", where=f"${VARIABLE}", observed="''", allowed="32 hexadecimal digits")
    except UsageError as failure:
        raise UsageError(
            "the invocation that is handed on can't be read",
            where=failure.where,
            observed=f"{failure.what}: {failure.observed}",
            allowed=failure.allowed,
            hint=f"unset {VARIABLE}",
        ) from None
    return found


def _version() -> str:
    try:
        return metadata.version("alignment-harness")
    except metadata.PackageNotFoundError:
        return ""
