"""Processes that end with the one that watches them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

__all__ = ["die_with_parent", "watched"]

WATCHER = "ALIGN_WATCHER"
"""The variable in which a process tells those that it starts its own number."""


def watched() -> dict[str, str]:
    """What the environment of a process has to hold that calls ``die_with_parent``."""
    return {WATCHER: str(os.getpid())}


def die_with_parent(by: int = signal.SIGKILL) -> None:
    """Linux sends this process a signal when the one that watches it is killed; elsewhere it would run on.

    Args:
        by: the signal; one that is handled lets it end its own first.
    """
    watcher = os.environ.pop(WATCHER, "")  # not for those that this process starts
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, by)  # PR_SET_PDEATHSIG
    if watcher and watcher != str(os.getppid()):  # it was killed before we asked; in a container it may well be 1
        os.kill(os.getpid(), by)
