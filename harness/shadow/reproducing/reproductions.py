"""What came out wrong, kept with a program that reproduces it.

A finding is an operation's tensor, or what a check by program compares; the worst of the first iteration that it is
violated in is kept, of the ten worst findings of each process. Inputs are bounded: tensors larger than 32 MiB are cut
along the batch where the operation allows that; else the finding is listed without a program, and why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from safetensors.torch import save

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.results import Compared
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.evidence.reproduction import Reproduction
from harness.shadow.files.reproduction_index import SCHEMA, Index, IndexEntry, index_name
from harness.shadow.judging.operations import Allowance, allow, weigh_check
from harness.shadow.reproducing.call_file import SCHEMA as CALL_SCHEMA
from harness.shadow.reproducing.call_file import StoredCall
from harness.shadow.reproducing.calls import write_call
from harness.shadow.reproducing.program import Origin, UnwritableError, Write, Written, render_program
from harness.store.atomic import write_bytes, write_text
from harness.store.decoding import encode_value

__all__ = ["Reproductions", "write_program"]

MOST_KEPT = 10


@dataclass(frozen=True)
class _Kept:
    found: Reproduction
    excess: float


class Reproductions:
    """Keeps the worst findings of one process of a run in a folder, each as it happens.

    The processes share the folder: those of process r are numbered from 10 r + 1, and have an index of their own.

    Args:
        folder: made when there is something to keep.
        tier: precision tier that calls are judged at.
        origin: the device that they came out wrong on.
        rank: of the process.
    """

    def __init__(self, folder: Path, tier: str, origin: Origin | None = None, rank: int = 0) -> None:
        self._folder = folder
        self._tier = tier
        self._origin = origin or Origin()
        self._rank = rank
        self._kept: dict[tuple[Part, str, str], _Kept] = {}

    def offer(self, check: ShadowCheck, result: Compared, call: Call) -> None:
        """Keep a call if it came out wrong, and worse than those that would have to give way."""
        self.keep(check, lambda allowed: write_call(call, result, allowed, check.part))

    def keep(self, check: ShadowCheck, write: Write) -> None:
        """Keep what a check found if that is wrong, and worse than what would have to give way.

        Args:
            check: the check.
            write: writes it down.
        """
        row = weigh_check(check, self._tier)
        if not row.violated:
            return
        key = (check.part, check.op, check.tensor)
        held = self._kept.get(key)
        if held is not None and (check.iteration > held.found.iteration or row.excess <= held.excess):
            return
        if held is None and len(self._kept) >= MOST_KEPT:
            weakest = min(self._kept, key=lambda other: self._kept[other].excess)
            if self._kept[weakest].excess >= row.excess:
                return
            held = self._kept.pop(weakest)
        number = held.found.number if held is not None else MOST_KEPT * self._rank + len(self._kept) + 1
        place = (check.iteration, check.part.value, check.module, check.op, check.tensor)
        found = self._write(Reproduction(number, *place, rank=self._rank), check, write)
        self._kept[key] = _Kept(found, row.excess)
        index = Index(tuple(IndexEntry.of(kept.found) for kept in self._kept.values()))
        write_text(self._folder / index_name(self._rank), encode_value(index, schema=SCHEMA))

    def _write(self, found: Reproduction, check: ShadowCheck, write: Write) -> Reproduction:
        """The program and its inputs on disk; a note in their place where they can't be written down."""
        path = self._folder / f"{found.number}.py"
        allowed: Allowance = allow(check, self._tier)
        try:
            written = write(allowed)
        except UnwritableError as reason:
            path.unlink(missing_ok=True)
            path.with_suffix(".safetensors").unlink(missing_ok=True)
            return replace(found, note=f"It has no program: {reason}.")
        write_program(path, check, written, self._tier, self._origin)
        return replace(found, note=written.note, program=path.name)


def write_program(path: Path, check: ShadowCheck, written: Written, tier: str, origin: Origin) -> None:
    """Write a program and its inputs, with the call as data where it is one.

    Args:
        path: of the program; its inputs lie beside it.
        check: what was found.
        written: what the program is made of.
        tier: precision tier that it is judged at.
        origin: where it came out wrong.
    """
    metadata = {"call": _described(check, written, tier, origin)} if written.call else None
    write_bytes(path.with_suffix(".safetensors"), save(dict(written.inputs), metadata))
    write_text(path, render_program(path.stem, check, allow(check, tier), written, origin))


def _described(check: ShadowCheck, written: Written, tier: str, origin: Origin) -> str:
    """The call as data, with where it came out wrong."""
    stored = StoredCall(
        **written.call,
        part=check.part.value,
        module=check.module,
        iteration=check.iteration,
        tier=tier,
        device=origin.name,
        profile=origin.profile,
        faults=origin.faults,
    )
    return encode_value(stored, schema=CALL_SCHEMA, indent=None)
