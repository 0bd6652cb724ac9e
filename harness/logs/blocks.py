"""Block files: ``=== CUDA ===``, numbers, ``=== SDAA ===``, numbers, ``=== RESULT ===``: both sides in one file."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from harness.logs.gathering import UNKNOWN, Gathering
from harness.logs.numerals import NUMBER
from harness.values.errors import LogError

__all__ = ["CANDIDATE", "REFERENCE", "looks_like_blocks", "read_blocks"]

_HEADING = re.compile(rb"^[ \t]{0,12}={2,}[ \t]{0,12}(\w[\w .()-]{0,60}?)[ \t]{0,12}={2,}[ \t]{0,12}$", re.MULTILINE)
_ONLY_NUMBERS = re.compile(rb"^[-+\d.,eE\[\]() \tnaifNAIF]{1,400}$")

REFERENCE = ("cuda", "gpu", "nvidia", "reference", "benchmark", "a100", "cpu")
CANDIDATE = (
    "sdaa", "candidate", "npu", "ascend", "mlu", "musa", "rocm", "hpu", "gaudi", "xpu", "tpu", "xla", "mps", "dcu",
    "device",
)  # fmt: skip

_NUMBER = re.compile(rb"(?<![\w.])" + NUMBER + rb"(?![\w.])")


def looks_like_blocks(first: bytes) -> bool:
    """Whether a text begins with a heading that stands over a line of numbers."""
    lines = [line for line in first[:65536].split(b"\n") if line.strip()][:200]
    return any(
        _HEADING.match(heading) is not None
        and _ONLY_NUMBERS.match(line) is not None
        and _NUMBER.search(line) is not None
        for heading, line in itertools.pairwise(lines)
    )


def read_blocks(pieces: Iterable[bytes], section: str | None, found: Gathering, where: object) -> str:
    """Gather the numbers of one block, as a loss without iteration numbers.

    Args:
        pieces: of whole lines.
        section: the block's name, ``reference`` or ``candidate`` for either side's customary names; None for the first.
        found: gets the numbers.
        where: the log, for messages.

    Returns:
        The block's name.

    Raises:
        LogError: there is no such block.
    """
    accepted = {"reference": REFERENCE, "candidate": CANDIDATE}.get(section or "", (section or "",))
    names: list[str] = []
    taken = ""
    column = found.column("loss")
    current = ""
    for piece in pieces:
        for line in piece.split(b"\n"):
            if heading := _HEADING.match(line):
                current = heading[1].decode("utf-8", "replace").strip()
                names.append(current)
                if not taken and (section is None or current.lower().startswith(accepted)):
                    taken = current
            elif taken and current == taken and column is not None:
                for number in _NUMBER.findall(line):
                    column.append(UNKNOWN, UNKNOWN, UNKNOWN, float(number))
    if not taken:
        raise LogError(
            "the block file holds no block of that name", where=where, observed=section, allowed=", ".join(names)
        )
    if len(names) > 1:
        found.note(f"the file holds {len(names)} blocks ({', '.join(names)}): {taken} was read")
    return taken
