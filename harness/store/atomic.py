"""Writing that is seen whole or not at all, and reading with a bound on size."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from harness.store.temporary import make_file, make_folder, remove_abandoned
from harness.values.errors import AlignmentError, UsageError

__all__ = [
    "LARGEST_FILE",
    "is_being_replaced",
    "read_bounded",
    "read_bytes",
    "replace_folder",
    "require_plain_name",
    "write_bytes",
    "write_text",
]

LARGEST_FILE = 64 * 2**20
"""Bytes. Baselines and traces come from other machines: a larger file is refused before it is read."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def require_plain_name(name: str, what: str) -> str:
    """The name itself, where it can be a folder's name and can't leave its folder.

    Raises:
        UsageError: it could.
    """
    if not _PLAIN_NAME.fullmatch(name) or name.endswith("."):
        raise UsageError(
            f"{what} can't be the name of a folder",
            observed=repr(name),
            allowed="letters, digits, '.', '_' and '-', beginning with a letter or digit",
        )
    return name


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, whenever the writer is killed."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, whenever the writer is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(_unfinished(path))
    temporary, handle = make_file(f".{path.name}.", path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(0o644)  # mkstemp's 0600 would keep a colleague from reading it
            temporary.replace(path)  # while it is open: until then it is known to be in use
    except OSError as failure:  # a full disk's says no name
        temporary.unlink(missing_ok=True)
        raise OSError(failure.errno, failure.strerror, str(path)) from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _unfinished(path: Path) -> list[Path]:
    """What writers of a file or folder have under way, or left when they were killed; not what was moved aside."""
    beside = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")  # as tempfile names it
    return [each for each in path.parent.iterdir() if beside.fullmatch(each.name)]


@contextlib.contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """A new, empty folder to fill, which takes ``folder``'s place at the end, or vanishes when the body raises.

    Where the system can exchange two names in one call (Linux, on most file systems) the place holds a whole folder at
    every moment. Elsewhere it is empty between two renames; killed there, the old folder lies beside the place under a
    name that ends in ``.old``, and the next writer puts it back.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(_unfinished(folder))
    fresh, held = make_folder(f".{folder.name}.", folder.parent)
    try:
        _put_back(folder)
        yield fresh
        fresh.chmod(0o755)
        while not _put(fresh, folder):  # another writer was faster: what it wrote is replaced in turn
            continue
    finally:
        shutil.rmtree(fresh, ignore_errors=True)  # the old content, where the two were exchanged
        os.close(held)


def is_being_replaced(folder: Path) -> bool:
    """Whether a writer is at work on a folder, or was killed there."""
    return any(folder.parent.glob(f".{folder.name}.*"))


def _put_back(folder: Path) -> None:
    """What an earlier writer moved aside, and was killed before it put the new folder in place."""
    for old in sorted(folder.parent.glob(f".{folder.name}.*.old"), key=lambda each: each.stat().st_mtime):
        if not folder.exists():
            old.rename(folder)


def _put(fresh: Path, folder: Path) -> bool:
    """Put a folder in another's place; False where another writer came between."""
    try:
        fresh.rename(folder)
    except OSError as refused:
        if refused.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
    else:
        return True  # there was none
    if _exchange(fresh, folder):
        return True
    old = fresh.with_name(f"{fresh.name}.old")
    try:
        folder.rename(old)
        fresh.rename(folder)
    except OSError:
        if old.exists() and not folder.exists():
            old.rename(folder)
            raise
        if not fresh.exists():
            raise
        return False
    finally:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one call; False where the system or the file system can't."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of linux/fs.h
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def read_bounded(path: Path, error: type[AlignmentError], hint: str | None = None) -> str:
    """A file's text.

    Raises:
        AlignmentError: of the kind ``error``: the file is missing, larger than LARGEST_FILE, or not UTF-8.
    """
    try:
        return read_bytes(path, error, hint=hint).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as failure:
        raise error("the file is not UTF-8 text", where=path, observed=failure.reason, hint=hint) from None


def read_bytes(
    path: Path, error: type[AlignmentError], *, largest: int = LARGEST_FILE, hint: str | None = None
) -> bytes:
    """A plain file's content.

    Raises:
        AlignmentError: of the kind ``error``: the file is missing, no plain file, or larger than ``largest`` bytes.
    """
    try:
        if not path.is_file():
            path.stat()
            raise error("not a plain file", where=path, hint=hint)
        with path.open("rb") as file:
            content = _read_at_most(file, largest)
    except FileNotFoundError:
        raise error("a file is missing", where=path, hint=hint) from None
    except OSError as failure:
        raise error("the file can't be read", where=path, observed=failure.strerror, hint=hint) from None
    except ValueError as failure:  # a name with a zero byte, or one that no file system can spell
        raise error("the file can't be read", where=repr(path), observed=str(failure), hint=hint) from None
    if content is None:
        raise error("the file is too large", where=path, allowed=f"{largest} bytes", hint=hint)
    return content


def _read_at_most(file: BinaryIO, largest: int) -> bytes | None:
    """What a file holds; None where that is more, whatever its size is said to be."""
    if os.fstat(file.fileno()).st_size > largest:
        return None
    pieces, size = [], 0
    while piece := file.read(2**20):  # asked for all at once, Python would reserve as much as is allowed
        size += len(piece)
        if size > largest:
            return None
        pieces.append(piece)
    return b"".join(pieces)
