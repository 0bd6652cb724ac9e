"""Writing that is seen whole or not at all, and reading with a bound on size."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.values.errors import AlignmentError, UsageError

__all__ = ["LARGEST_FILE", "read_bounded", "replace_folder", "require_plain_name", "write_bytes", "write_text"]

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
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp's 0600 would keep a colleague from reading it
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """A new, empty folder to fill, which takes ``folder``'s place at the end, or vanishes when the body raises.

    Killed between its last two renames it leaves the old folder beside the place, under a name that ends in ``.old``;
    at every moment the place holds a whole folder or none.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    old = folder.parent / f".{folder.name}.old"
    try:
        if old.exists() and not folder.exists():  # an earlier writer was killed between its last two renames
            old.rename(folder)
        yield fresh
        fresh.chmod(0o755)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def read_bounded(path: Path, error: type[AlignmentError], hint: str | None = None) -> str:
    """A file's text.

    Raises:
        AlignmentError: of the kind ``error``: the file is missing, larger than LARGEST_FILE, or not UTF-8.
    """
    try:
        if not path.is_file():
            path.stat()
            raise error("not a plain file", where=path, hint=hint)
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise error("the file is too large", where=path, allowed=f"{LARGEST_FILE} bytes", hint=hint)
        return content.decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        raise error("a file is missing", where=path, hint=hint) from None
    except UnicodeDecodeError as failure:
        raise error("the file is not UTF-8 text", where=path, observed=failure.reason, hint=hint) from None
    except OSError as failure:
        raise error("the file can't be read", where=path, observed=failure.strerror, hint=hint) from None
