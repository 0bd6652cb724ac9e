"""A log's bytes, unpacked and in pieces: memory does not grow with the file."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import importlib
import io
import math
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from harness.logs.gathering import Gathering
from harness.logs.limits import LIMITS
from harness.values.errors import LogError

__all__ = ["clean", "open_log", "whole_lines"]

_PIECE = 1 << 20
LONGEST_LINE = 1 << 26
"""64 MiB. What has no line end for so long is cut there, and the cut is stated."""

_ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CHINESE = tuple(
    (re.compile(written.encode()), plain)
    for written, plain in (
        ("　", b" "), ("【", b"["), ("】", b"] "), ("、", b","), ("。", b"; "),
        ("训练损失(?:值)?", b"train loss"), ("(?:验证|测试|评估)损失(?:值)?", b"val loss"), ("平均损失(?:值)?", b"average loss"), ("总损失(?:值)?", b"total loss"),
        ("损失(?:函数)?(?:值)?", b"loss"), ("第 ?([0-9]{1,15}(?: ?/ ?[0-9]{1,15})?) ?(?:步|次迭代)", rb"step \1 "),
        ("第 ?([0-9]{1,15}(?: ?/ ?[0-9]{1,15})?) ?(?:轮|个?周期)", rb"epoch \1 "), ("(?:迭代次数|迭代步数|迭代|步数|步骤|步)", b"step"),
        ("(?:轮次|轮数|周期)", b"epoch"), ("学习率", b"lr"), ("(?:准确率|精度)", b"accuracy"),
        ("训练", b"train "), ("(?:验证|校验)", b"val "), ("测试", b"test "), ("评估", b"eval "),
    )
)  # fmt: skip
"""Chinese words, as what they mean."""
_FULL_WIDTH = re.compile(rb"\xef\xbc([\x81-\xbf])|\xef\xbd([\x80-\x9e])")
"""U+FF01 … U+FF5E: ASCII's signs, digits and letters at the width of a Chinese character."""
_LEADS = tuple(bytes([lead]) for lead in (*range(0xE3, 0xEA), 0xEF))
"""First bytes of Chinese characters and signs, and of those of full width, in UTF-8."""
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextlib.contextmanager
def open_log(path: Path) -> Iterator[BinaryIO]:
    """The log's bytes, unpacked where it is a gzip or zstandard file, and as UTF-8 where a mark says that it is UTF-16.

    Raises:
        LogError: it can't be opened or unpacked, is a device, or what unpacks it is not installed.
    """
    try:
        with _opened(path) as file, _unpacked(file, path) as unpacked:
            start = unpacked.peek(3)
            if start.startswith(_UTF16):
                yield cast(BinaryIO, codecs.EncodedFile(unpacked, "utf-8", "utf-16", "replace"))
            elif (order := _without_mark(unpacked.peek(64)[:64])) is not None:
                yield cast(BinaryIO, codecs.EncodedFile(unpacked, "utf-8", order, "replace"))
            else:
                unpacked.read(len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0)
                yield cast(BinaryIO, unpacked)
    except Exception as error:
        if not isinstance(error, (OSError, EOFError, zlib.error)) and type(error).__name__ != "ZstdError":
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LogError("the log can't be read", where=path, observed=reason) from None


def whole_lines(file: BinaryIO, found: Gathering, most: int = LIMITS.size) -> Iterator[bytes]:
    """The log in pieces of whole lines, each of about a mebibyte and ended by a newline.

    Args:
        file: the log's bytes.
        found: is told of lines that are too long to be held whole.
        most: how many bytes are read, unpacked.

    Raises:
        LogError: the log is larger.
    """
    read = 0
    while piece := file.read(_PIECE):
        read += len(piece)
        if read > most:
            raise LogError(
                "the log is larger than what is read of one, unpacked",
                observed=f"more than {most / 2**30:.3g} GiB",
                allowed=f"{most / 2**30:.3g} GiB",
                hint=f"--max-log-size {math.ceil(10 * most / 2**30)}GiB",
            )
        if not piece.endswith(b"\n"):
            piece += file.readline(LONGEST_LINE)
        if not piece.endswith(b"\n"):
            if len(piece) > LONGEST_LINE:
                found.note("{count} line(s) longer than 64 MiB were cut there")
            piece += b"\n"
        yield piece


def clean(piece: bytes, found: Gathering) -> bytes:
    """Whole lines without colours, with a newline alone as line end, and a line for each state of a progress bar."""
    if piece.startswith(b"\0"):  # as where a log was cut off while its program wrote on, and in what unpacks to nothing
        text = piece.lstrip(b"\0")
        found.note("{count} zero byte(s) before a line were left out", len(piece) - len(text))
        piece = text
    if b"\x1b" in piece:
        piece = _ANSI.sub(b"", piece)
    if b"\r" in piece:
        piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not piece.isascii():
        try:
            piece.decode("utf-8")
        except UnicodeDecodeError:
            piece = _from_gb18030(piece, found)
        if any(lead in piece for lead in _LEADS):  # a progress bar's blocks have another
            piece = _FULL_WIDTH.sub(_as_ascii, piece)
            for pattern, plain in _CHINESE:
                piece = pattern.sub(plain, piece)
    return piece


def _as_ascii(wide: re.Match[bytes]) -> bytes:
    return bytes([wide[1][0] - 0x60 if wide[1] else wide[2][0] - 0x20])


def _from_gb18030(piece: bytes, found: Gathering) -> bytes:
    """Text in the Chinese encoding of a console as UTF-8; what is neither is left as it is, and said."""
    try:
        text = piece.decode("gb18030")
    except UnicodeDecodeError:
        found.note("{count} MiB of the log hold bytes that are no UTF-8: these were passed over, the rest was read")
        return piece
    found.note("{count} MiB of the log are no UTF-8: they were read as GB18030")
    return text.encode("utf-8")


def _without_mark(start: bytes) -> str | None:
    """The byte order of UTF-16 text without a mark, by the zero bytes of its ASCII; None where it is none."""
    zeros = [start[first::2].count(0) for first in (0, 1)]
    if len(start) < 8 or min(zeros) or max(zeros) < 0.4 * len(start) / 2:
        return None
    return "utf-16-le" if zeros[1] else "utf-16-be"


def _opened(path: Path) -> io.BufferedReader:
    """A file, or a pipe as the shell makes it; nobody waits for a writer that a named pipe doesn't have."""
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
        raise LogError("this is no log file", where=path, observed=_KINDS.get(stat.S_IFMT(kind), "no file"))
    if stat.S_ISREG(kind):
        return path.open("rb")
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(pipe, True)
    return os.fdopen(pipe, "rb")


def _unpacked(file: io.BufferedReader, path: Path) -> io.BufferedReader:
    magic = file.peek(4)[:4]
    if magic[:2] == b"\x1f\x8b":
        return io.BufferedReader(cast(io.RawIOBase, gzip.open(file)))
    if magic == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(_zstandard(path).ZstdDecompressor().stream_reader(file, read_across_frames=True))
    return file


def _zstandard(path: Path) -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        raise LogError(
            "the log is packed with zstandard, and what unpacks it is not installed",
            where=path,
            hint='pip install "alignment-harness[logs]", or pip install zstandard',
        ) from None
