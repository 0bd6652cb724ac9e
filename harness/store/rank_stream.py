"""What each process of a run saw, one JSON line an iteration, written by the first of them."""

from __future__ import annotations

from pathlib import Path

from harness.rules.rank_agreement import RankRow
from harness.store.atomic import read_bytes
from harness.store.decoding import complete_lines, convert_value, decode_plain, encode_value
from harness.values.errors import TraceError

__all__ = ["append_ranks", "read_ranks"]


def append_ranks(path: Path, row: RankRow) -> None:
    """Write one iteration."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(encode_value(row, indent=None))


def read_ranks(path: Path) -> tuple[RankRow, ...]:
    """What was written, up to a torn last line; nothing where there is no file: a run of one process.

    Raises:
        TraceError: a line is something else.
    """
    if not path.exists():
        return ()
    lines = complete_lines(read_bytes(path, TraceError))
    return tuple(
        convert_value(decode_plain(line, f"{path}:{number}", TraceError), RankRow, f"{path}:{number}", TraceError)
        for number, line in enumerate(lines, 1)
    )
