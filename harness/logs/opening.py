"""A log's bytes, unpacked and in pieces: memory does not grow with the file."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import importlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from harness.logs.gathering import Gathering
from harness.values.errors import LogError

__all__ = ["clean", "open_log", "whole_lines"]

_PIECE = 1 << 20
LONGEST_LINE = 1 << 26
"""64 MiB. What has no line end for so long is cut there, and the cut is stated."""

_ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextlib.contextmanager
def open_log(path: Path) -> Iterator[BinaryIO]:
    """The log's bytes, unpacked where it is a gzip or zstandard file.

    Raises:
        LogError: it can't be opened or unpacked, or what unpacks it is not installed.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic[:2] == b"\x1f\x8b":
                with gzip.open(file) as unpacked:
                    yield cast(BinaryIO, unpacked)
            elif magic == b"\x28\xb5\x2f\xfd":
                with _zstandard(path).ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacked:
                    yield unpacked
            else:
                yield file
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LogError("the log can't be read", where=path, observed=reason) from None


def whole_lines(file: BinaryIO, found: Gathering) -> Iterator[bytes]:
    """The log in pieces of whole lines, each of about a mebibyte and ended by a newline.

    Args:
        file: the log's bytes. UTF-16 with a byte order mark is understood; everything else is taken as UTF-8.
        found: is told of what had to be mended.
    """
    carried: list[bytes] = []
    length = 0
    for piece in _as_utf8(file):
        head, newline, tail = piece.rpartition(b"\n")
        if newline:
            yield b"".join([*carried, head, newline])
            carried, length = [tail], len(tail)
            continue
        carried.append(piece)
        length += len(piece)
        if length > LONGEST_LINE:
            found.note("{count} line(s) longer than 64 MiB were cut there")
            yield b"".join(carried) + b"\n"
            carried, length = [], 0
    if length:
        yield b"".join(carried) + b"\n"


def clean(piece: bytes, found: Gathering) -> bytes:
    """Whole lines without colours, with a newline alone as line end, and a line for each state of a progress bar."""
    if b"\x1b" in piece:
        piece = _ANSI.sub(b"", piece)
    if b"\r" in piece:
        piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not piece.isascii():
        try:
            piece.decode("utf-8")
        except UnicodeDecodeError:
            found.note("{count} MiB of the log hold bytes that are no UTF-8: these were passed over, the rest was read")
    return piece


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read(_PIECE)
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # imported only where a log needs it
            raise
        raise OSError(str(error)) from None


def _as_utf8(file: BinaryIO) -> Iterator[bytes]:
    """The log's bytes without a byte order mark, and recoded where the mark says that they are UTF-16."""
    first = _read(file)
    if first.startswith(_UTF16):
        decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
        while first:
            yield decoder.decode(first).encode("utf-8", "replace")
            first = _read(file)
    yield first.removeprefix(codecs.BOM_UTF8)
    while piece := _read(file):
        yield piece


def _zstandard(path: Path) -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        raise LogError(
            "the log is packed with zstandard, and what unpacks it is not installed",
            where=path,
            hint='pip install "alignment-harness[logs]", or pip install zstandard',
        ) from None
