"""After a run: its wrong calls are asked of the device again, and made smaller, each from its reproduction."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.results import Compared
from harness.shadow.evidence.call_signature import CallSignature
from harness.shadow.evidence.checks import ShadowCheck
from harness.shadow.evidence.reproduction import Reproduction
from harness.shadow.files.check_stream import ShadowStream
from harness.shadow.files.reproduction_index import SCHEMA, Index, IndexEntry, index_name, read_reproductions
from harness.shadow.judging.operations import allow
from harness.shadow.probing.lone_call import LoneCall, asking_of, lone_call, target_of
from harness.shadow.probing.probes import probe
from harness.shadow.probing.shrinking import Shrunk, shrink
from harness.shadow.reproducing.call_file import StoredCall, read_call
from harness.shadow.reproducing.calls import write_call
from harness.shadow.reproducing.program import Origin, Written
from harness.shadow.reproducing.reproductions import write_program
from harness.store.atomic import write_text
from harness.store.decoding import encode_value
from harness.values.errors import RunError

__all__ = ["ask_again", "shrink_call", "shrink_kept"]

_EACH = 20.0
"""Seconds that the calls like one wrong call may take, where there is time for more than one."""


@dataclass(frozen=True, eq=False)
class _Kept:
    """A wrong call of a run.

    Args:
        stored: the call without its tensors.
        call: the call.
        target: the answer that tells whether it is wrong.
    """

    stored: StoredCall
    call: LoneCall
    target: str


def ask_again(folder: Path, stream: Path, device: str, seconds: float) -> None:
    """Ask a device what it makes of calls like those that came out wrong.

    Of the wrong results of one operation the worst call is asked first, of all of them; another one of those that are
    right there.

    Args:
        folder: of the reproductions.
        stream: where the checks go.
        device: what torch calls it.
        seconds: that it may take in all.
    """
    deadline = time.monotonic() + seconds
    by_operation: dict[str, list[_Kept]] = defaultdict(list)
    for kept in _calls_of(folder, device):
        by_operation[kept.stored.op].append(kept)
    tier = next((each[0].stored.tier for each in by_operation.values()), "")
    number = 0
    with ShadowStream(stream, tier) as out:
        for place, (op, calls) in enumerate(by_operation.items()):
            share = (deadline - time.monotonic()) / (len(by_operation) - place)
            until = time.monotonic() + max(share, 0.0)
            left = list(dict.fromkeys(kept.target for kept in calls))
            for kept in calls:
                remaining = until - time.monotonic()
                if kept.target not in left or remaining <= 0:
                    continue
                probed = probe(kept.call, left, asking_of(kept.stored, device), min(remaining, _EACH))
                checks, signatures = [], dict[int, CallSignature]()
                for answer in probed.answers:
                    checks.append(replace(answer.check, call=number))
                    signatures[number] = answer.signature
                    number += 1
                name = op.split(".")[1]
                counts = {name: len(checks)}
                skipped = {f"{name}, {result}": reason for result, reason in probed.why_not.items()}
                out.append(kept.stored.iteration, checks, counts, counts, skipped, signatures=signatures)
                left = [result for result in left if result in probed.why_not and result != kept.target]


def shrink_kept(folder: Path, device: str, seconds: float) -> None:
    """Replace the calls that came out wrong in a run by smaller ones that do.

    Args:
        folder: of the reproductions.
        device: what torch calls it.
        seconds: that it may take in all.
    """
    deadline = time.monotonic() + seconds
    found = list(read_reproductions(folder))
    for place, each in enumerate(found):
        # What one call leaves of its time, those behind it share.
        share = (deadline - time.monotonic()) / (len(found) - place)
        path = folder / f"{each.number}.safetensors"
        if not each.program or share <= 0:
            continue
        try:
            stored, tensors = read_call(path)
        except RunError:
            continue
        call = lone_call(stored, tensors, device, path)
        smaller = shrink(call, target_of(stored), asking_of(stored, device), share)
        if smaller is not None and smaller.call.elements < call.elements:
            note = _write(path.with_suffix(".py"), stored, smaller, call, device)
            found[place] = replace(each, note=note or each.note)
    by_rank: dict[int, list[Reproduction]] = defaultdict(list)
    for each in found:
        by_rank[each.rank].append(each)
    for rank, of_rank in by_rank.items():
        entries = [
            IndexEntry.of(replace(each, program=f"{each.number}.py" if each.program else "")) for each in of_rank
        ]
        write_text(folder / index_name(rank), encode_value(Index(tuple(entries)), schema=SCHEMA))


def shrink_call(path: Path, out: Path, device: str, seconds: float) -> Shrunk | None:
    """Write the smaller call of a reproduction as a program.

    Args:
        path: of the reproduction's inputs.
        out: the program's path.
        device: what torch calls it.
        seconds: that it may take.

    Returns:
        The smaller call; None where the call isn't wrong when it is called alone.

    Raises:
        RunError: the file holds no call that can be made.
    """
    stored, tensors = read_call(path)
    call = lone_call(stored, tensors, device, path)
    smaller = shrink(call, target_of(stored), asking_of(stored, device), seconds)
    if smaller is not None:
        _write(out, stored, smaller, call, device)
    return smaller


def _calls_of(folder: Path, device: str) -> list[_Kept]:
    """The calls of single operations among the reproductions, the worst first."""
    found = []
    for each in read_reproductions(folder):
        path = folder / f"{each.number}.safetensors"
        if not each.program:
            continue
        try:
            stored, tensors = read_call(path)
            found.append(_Kept(stored, lone_call(stored, tensors, device, path), target_of(stored)))
        except RunError:  # a step, a sum, a draw
            continue
    return found


class _Writing:
    """Writes the result of a call that is looked at as a program.

    Args:
        target: which one.
        tier: precision tier that it is judged at.

    Attributes:
        made: what was found and what the program is made of; None before.
    """

    def __init__(self, target: str, tier: str) -> None:
        self._target, self._tier = target, tier
        self.made: tuple[ShadowCheck, Written] | None = None

    def offer(self, check: ShadowCheck, result: Compared, call: Call) -> None:
        """Write it down where it is the result."""
        if check.tensor == self._target:
            self.made = check, write_call(call, result, allow(check, self._tier), check.part)


def _write(path: Path, stored: StoredCall, smaller: Shrunk, before: LoneCall, device: str) -> str:
    """Write a smaller call's program and inputs; what its note says, empty where it can't be written."""
    writing = _Writing(target_of(stored), stored.tier)
    asking_of(stored, device).ask(smaller.call, writing)
    if writing.made is None:
        return ""
    check, written = writing.made
    note = f"Made smaller while it was wrong; it was of {before.sizes()}."
    if not smaller.whole:
        note += " The time was over before it was as small as it can be."
    origin = Origin(stored.device == "emulated", stored.profile, stored.faults, stored.device)
    write_program(path, check, replace(written, note=note), stored.tier, origin)
    return note
