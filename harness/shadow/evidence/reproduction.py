"""A reproduction: one thing that came out wrong, as a program of its own with its inputs."""

from __future__ import annotations

from dataclasses import dataclass

from harness.values.bounds import Count

__all__ = ["Reproduction"]


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What is behind a finding of shadow ops, to be run again alone.

    Args:
        number: the program is ``<number>.py``, its inputs ``<number>.safetensors``.
        iteration: of the call.
        part: of the step, by name.
        module: dotted path, empty for none.
        op: the operation.
        tensor: which result was wrong.
        note: what was cut off its inputs, or why it has no program.
        program: its text; empty where it has none.
        inputs: the content of its safetensors file; empty where it has no program, or where only its place is kept.
        rank: of the process that found it.
    """

    number: Count
    iteration: Count
    part: str
    module: str
    op: str
    tensor: str
    note: str = ""
    program: str = ""
    inputs: bytes = b""
    rank: Count = 0
