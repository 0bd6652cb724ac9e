"""Temporary files and folders that have an owner, so that what a killed process left is told from what is in use.

An owner holds a lock (``flock``) on what it made; the system drops it when the owner ends, however it ends. So whoever
gets the lock of another's temporary file knows that its owner is gone, and removes it. That holds across containers on
one machine, where process numbers mean nothing. Where a file system has no locks, nothing is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["find_abandoned", "make_file", "make_folder", "owned_folder", "owned_temporaries", "remove_abandoned"]


@contextlib.contextmanager
def owned_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new temporary folder, removed at the end; those of the same prefix whose owners are gone are removed at once.

    Args:
        prefix: of its name, which nothing else in the parent has.
        parent: where it is made; the system's folder for temporary files without it.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    remove_abandoned(place.glob(f"{_escaped(prefix)}*"))
    folder, held = make_folder(prefix, place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


@contextlib.contextmanager
def owned_temporaries(prefix: str) -> Iterator[None]:
    """What this process makes for a time in the system's temporary folder lies in a folder that has an owner.

    For libraries that would leave it behind where this process is killed. What they keep stays as long as this process.
    Python has one such folder a process: other threads' temporary files lie there too meanwhile, and stay likewise.

    Args:
        prefix: as ``owned_folder`` takes it.
    """
    usual, chosen = Path(tempfile.gettempdir()), tempfile.tempdir
    remove_abandoned(usual.glob(f"{_escaped(prefix)}*"))
    folder, held = make_folder(prefix, usual)
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = chosen
        with contextlib.suppress(OSError):  # it isn't empty
            folder.rmdir()
            os.close(held)


def make_folder(prefix: str, parent: Path) -> tuple[Path, int]:
    """A new folder, and the descriptor that holds it until it is closed or this process ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.suppress(FileNotFoundError):  # another's clean-up took it for abandoned before it was held
            held = os.open(folder, os.O_RDONLY)
            _hold(held)
            if _is_still(held, folder):
                return folder, held
            os.close(held)


def make_file(prefix: str, parent: Path) -> tuple[Path, int]:
    """A new file, and the descriptor to write it by, which holds it until it is closed."""
    while True:
        handle, name = tempfile.mkstemp(prefix=prefix, dir=parent)
        _hold(handle)
        if _is_still(handle, Path(name)):
            return Path(name), handle
        os.close(handle)


def _hold(handle: int) -> None:
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX)


def remove_abandoned(paths: Iterable[Path]) -> None:
    """Remove the files and folders whose owners are gone; what is in use, or another user's, is left."""
    for path in paths:
        with contextlib.suppress(OSError), _held_where_abandoned(path) as held:
            if held and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif held:
                path.unlink()


def find_abandoned(paths: Iterable[Path]) -> list[Path]:
    """Those of the files and folders whose owners are gone."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError), _held_where_abandoned(path) as held:
            if held:
                found.append(path)
    return found


@contextlib.contextmanager
def _held_where_abandoned(path: Path) -> Iterator[bool]:
    """Hold what nobody holds, for as long as something is done with it.

    Yields:
        Whether it is abandoned; not where it is a link, gone, or another user's.

    Raises:
        OSError: its owner holds it, or it can't be opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield _is_still(handle, path) and os.fstat(handle).st_uid == os.geteuid()
    finally:
        os.close(handle)


def _is_still(handle: int, path: Path) -> bool:
    """Whether a name still means what was opened under it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _escaped(prefix: str) -> str:
    """A prefix as a pattern of ``glob`` that means itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in prefix)
