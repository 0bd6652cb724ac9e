"""A run's own process, and the end of everything that the run started: between the watchdog and the worker.

A training may start what outlives it: a daemon that forks twice and opens a session of its own is no member of the
worker's process group, and a kill of that group doesn't reach it. So the supervisor asks Linux to hand it every orphan
of its descendants (``PR_SET_CHILD_SUBREAPER``), and when the worker ends, or the watchdog asks or dies, it kills all of
them and ends last. Elsewhere than on Linux the process group is what is killed.

What the run prints goes through it into ``output.log``: the beginning and the end, with a line between them that says
how much was left out, so that a loop that prints doesn't fill a disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from harness.running.lifeline import die_with_parent, watched

__all__ = ["HEAD", "TAIL", "BoundedLog", "end_descendants", "end_supervisor", "main"]

HEAD = 8 * 2**20
"""Bytes of the output that are kept from its beginning, as they come."""

TAIL = 8 * 2**20
"""Bytes that are kept from its end, where it is longer; written when the run has ended."""

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h

_KILLING = 5.0
"""Seconds to go on killing for. A process in the middle of a system call ends when that returns."""


_ENDING = 15.0
"""Seconds that a supervisor has to kill what its run started, more than ``_KILLING``; then it is killed itself."""


class BoundedLog:
    """The beginning and the end of what a run prints.

    Args:
        file: where it goes.
        head: bytes that are kept from the beginning.
        tail: bytes that are kept from the end.
    """

    def __init__(self, file: BinaryIO, head: int = HEAD, tail: int = TAIL) -> None:
        self._file = file
        self._left, self._most = head, tail
        self._tail: deque[bytes] = deque()
        self._kept = self._dropped = 0

    def write(self, piece: bytes) -> None:
        """Keep a piece, or what is to be kept of it."""
        if begins := piece[: self._left]:
            self._file.write(begins)
            self._file.flush()
            self._left -= len(begins)
        if rest := piece[len(begins) :]:
            self._tail.append(rest)
            self._kept += len(rest)
        while self._kept > self._most:
            first = self._tail.popleft()
            excess = min(self._kept - self._most, len(first))
            if excess < len(first):
                self._tail.appendleft(first[excess:])
            self._kept -= excess
            self._dropped += excess

    def close(self) -> None:
        """Write the end down."""
        if self._dropped:
            self._file.write(f"\n[… {self._dropped} bytes were left out here …]\n".encode())
        for piece in self._tail:
            self._file.write(piece)
        self._file.flush()


def main(arguments: Sequence[str]) -> int:
    """Run a command to its end, or until the watchdog asks for it, and kill whatever is left of it.

    Args:
        arguments: the file for its output, then the command.

    Returns:
        The command's exit code; where a signal ended it, that signal ends this process too.
    """
    log, command = Path(arguments[0]), list(arguments[1:])
    signal.signal(signal.SIGTERM, lambda *_: _ask_to_end())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's, which the watchdog gets too
    # After the handler is there: where the watchdog is dead already, the signal comes at once.
    die_with_parent(signal.SIGTERM)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    reading, writing = os.pipe()
    with log.open("ab") as file:
        child = subprocess.Popen(  # noqa: S603  # our own words
            command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, env={**os.environ, **watched()}
        )
        os.close(writing)
        copying = threading.Thread(target=_copy, args=(reading, BoundedLog(file)), daemon=True)
        copying.start()
        status = _wait(child.pid)
        child.returncode = 0  # it is reaped here, not by its handle
        end_descendants()
        copying.join(_KILLING)
    return _end_alike(status)


def end_supervisor(child: subprocess.Popen[bytes]) -> None:
    """End a supervisor, which kills all that its run started; nothing of it may outlive us.

    Args:
        child: begun in a session of its own, which is killed where the supervisor doesn't answer.
    """
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_ENDING)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


_asked = threading.Event()


def _ask_to_end() -> None:
    _asked.set()


def _wait(pid: int) -> int:
    """The status of a child when it has ended, of a kill where that was asked for; orphans that end are reaped."""
    pause = 0.001
    while not _asked.is_set():
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0
        if ended == pid:
            return status
        # Orphans end in bunches: behind one the next is looked for at once.
        pause = 0.001 if ended else min(2 * pause, 0.02)
        _asked.wait(0 if ended else pause)
    return signal.SIGKILL


def end_descendants() -> None:
    """Kill everything that this process started, and what that started, until nothing of it is left."""
    deadline = time.monotonic() + _KILLING
    # Again until nothing is left: what is killed may have started something since the list was made.
    while time.monotonic() < deadline:
        for pid in _descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def _descendants() -> list[int]:
    """Children, their children and on, by ``/proc``; none where there is no ``/proc``."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            after_name = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            children.setdefault(int(after_name[1]), []).append(int(entry.name))
    found, waiting = [], [os.getpid()]
    while waiting:
        mine = children.get(waiting.pop(), [])
        found += mine
        waiting += mine
    return found


def _copy(reading: int, log: BoundedLog) -> None:
    """A full disk doesn't end a training: what can't be written is read all the same."""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while piece := pipe.read(2**16):
            with contextlib.suppress(OSError):
                log.write(piece)
    with contextlib.suppress(OSError):
        log.close()


def _end_alike(status: int) -> int:
    """End as the worker did, so that the watchdog sees how."""
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the worker left its own core
    with contextlib.suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
