"""The files that a run leaves in its folder."""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "ASKED",
    "ERROR",
    "FOLLOW_UP",
    "FORCED",
    "ORDER",
    "OUTPUT",
    "PROVENANCE",
    "RANKS",
    "RANK_OUTPUTS",
    "REPRODUCTIONS",
    "STREAM",
    "VALIDATING",
    "VALIDATIONS",
    "shadow_file",
    "shadow_files",
]

ORDER = "order.json"
"""What was to be run: written by the watcher."""

STREAM = "trace.jsonl"
"""Its iterations, each as it happens."""

PROVENANCE = "provenance.json"
"""Where it comes from, written before its first iteration."""

ERROR = "error.json"
"""Why it could not be made, where it knows itself."""

OUTPUT = "output.log"
"""What it printed."""

VALIDATIONS = "validations.jsonl"
"""The scores of each validation of a training."""

VALIDATING = "validating"
"""Touched with each image of a validation: no iteration tells the watchdog then that the run lives."""

RANKS = "ranks.jsonl"
"""Of several processes: what each of them saw, iteration by iteration."""

RANK_OUTPUTS = "ranks"
"""A folder: of several processes what each of this machine's printed, as torch's launcher keeps it."""

FORCED = "forced.jsonl"
"""The checks of operations that were run again with hard inputs."""

ASKED = "asked.jsonl"
"""The checks of calls like those that came out wrong, which the device was asked after the run."""

FOLLOW_UP = "follow_up.log"
"""What the process printed that asked them."""

REPRODUCTIONS = "reproduce"
"""A folder: the calls that came out wrong, each as a program with its inputs."""


def shadow_file(folder: Path, rank: int) -> Path:
    """The shadow checks of one process, each shadowed iteration as it ends."""
    return folder / f"shadow.{rank}.jsonl"


def shadow_files(folder: Path) -> list[Path]:
    """The shadow checks of every process that left some."""
    return sorted(folder.glob("shadow.*.jsonl"))
