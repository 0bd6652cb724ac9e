"""A run as far as it has got, put together from the lines that it streams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.running.folder import PROVENANCE, STREAM
from harness.store.provenance_file import read_provenance
from harness.store.stream import StreamLine, assemble_stream
from harness.values.errors import AlignmentError
from harness.values.provenance import Provenance
from harness.values.trace import Trace

__all__ = ["PartialRun"]


class PartialRun:
    """The lines that a run has streamed so far.

    Args:
        folder: where the run leaves its files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: list[StreamLine] = []
        self._provenance: Provenance | None = None

    def add(self, lines: Sequence[StreamLine]) -> None:
        """Keep further lines of the stream, in their order."""
        self._lines += lines

    def read(self) -> tuple[Trace, Provenance] | None:
        """The trace so far and where it comes from; None before the run has begun, and for what can't be read.

        What can't be read now is refused with its reason when the run has ended.
        """
        if not self._lines or not (self._folder / PROVENANCE).exists():
            return None
        try:
            self._provenance = self._provenance or read_provenance(self._folder / PROVENANCE)
            return assemble_stream(self._lines, self._folder / STREAM), self._provenance
        except AlignmentError:
            return None
