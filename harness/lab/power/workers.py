"""The workers of a study: processes that run many experiments each, and are replaced where they die.

The pool is ``harness.running.pool``'s. Here each of its slots keeps a process, since an experiment takes seconds, and
so does importing PyTorch.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from harness.lab.power.finished_run import Ending, write_outcome
from harness.lab.power.study_folder import OUTCOME
from harness.lab.power.study_worker import Request, serve
from harness.running.lifeline import watched
from harness.running.pool import Slot, run_side_by_side

__all__ = ["run_requests"]

_TAIL = 2000

_LOOKING = 0.2
"""Seconds from one look at whether a study is to end to the next."""

_HEAP = ("hugetlb=1", "mmap_threshold=33554432", "trim_threshold=8589934592", "top_pad=67108864")
"""glibc keeps what was freed, in huge pages: else every step of training faults its gigabytes in anew, page by page.
Where the system's allocator is another, this says nothing to it."""

Serving = Callable[[Connection, str], None]
"""What a worker does: it answers each request with whether it goes on, and prints into the file that it is told."""


def run_requests(
    requests: Sequence[Request],
    jobs: int,
    logs: Path,
    timeout: float,
    on_done: Callable[[Request], None],
    serving: Serving = serve,
) -> None:
    """Run experiments on worker processes; none outlives this call.

    Args:
        requests: in the order in which they are begun; each ends in an outcome, whatever its worker does.
        jobs: how many run at once.
        logs: folder for what the workers print.
        timeout: seconds that one experiment may take.
        on_done: called after each, in the caller's thread.
        serving: what a worker does.
    """
    logs.mkdir(parents=True, exist_ok=True)
    workers: dict[int, _Worker] = {}

    def run_one(asked: Request, slot: Slot) -> None:
        """A process that dies without a word is given a second chance: the machine may have killed it."""
        started = time.monotonic()
        for _ in range(2):
            worker = workers.get(slot.number) or _Worker(serving, logs / f"worker-{slot.number}.log")
            workers[slot.number] = worker
            goes_on = worker.ask(asked, timeout, slot)
            if not goes_on:
                worker.end()
                del workers[slot.number]
            if slot.stop.is_set() or (Path(asked.folder) / OUTCOME).exists():
                return
            if worker.hung:
                break
        Path(asked.folder).mkdir(parents=True, exist_ok=True)
        seconds = time.monotonic() - started
        write_outcome(Path(asked.folder), asked.experiment, Ending.CRASHED, worker.how_it_ended(), seconds)

    slots = [Slot(number) for number in range(max(1, min(jobs, len(requests))))]
    try:
        with _environment_of_workers():
            run_side_by_side(requests, run_one, slots, lambda number, _: on_done(requests[number]))
    finally:
        for worker in workers.values():
            worker.end()


@contextlib.contextmanager
def _environment_of_workers() -> Iterator[None]:
    """What the workers inherit: one thread each, since there are as many as cores. A user's allocator settings win."""
    heap = ":".join(f"glibc.malloc.{setting}" for setting in _HEAP)
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    before = dict(os.environ)
    os.environ.update({"GLIBC_TUNABLES": heap, **before, **threads, **watched(), "MPLBACKEND": "Agg"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _Worker:
    """One process."""

    def __init__(self, serving: Serving, log: Path) -> None:
        self._log = log
        self.hung = ""
        context = multiprocessing.get_context("spawn")  # this process's threads and libraries are none of a worker's
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=serving, args=(theirs, str(log)), name=log.stem)
        self._process.start()
        theirs.close()

    def ask(self, asked: Request, timeout: float, slot: Slot) -> bool:
        """Have an experiment run; whether the process can be asked again."""
        deadline = time.monotonic() + timeout
        try:
            self._ours.send(asked)
            while not self._ours.poll(_LOOKING):
                if slot.stop.is_set():
                    return False
                if time.monotonic() > deadline:
                    self.hung = f"no answer after {timeout:.0f} s"
                    return False
            return bool(self._ours.recv())
        except (EOFError, OSError):
            return False

    def how_it_ended(self) -> str:
        """Why there is no outcome, of a worker that was ended."""
        if self.hung:
            return self.hung
        code = self._process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        tail = ""
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - _TAIL))
            tail = file.read().decode("utf-8", "replace")
        return f"the process died: {how}\n{tail}"

    def end(self) -> None:
        """Kill it with everything that it started; one that ends by itself is given the time for it."""
        self._ours.close()
        if not self.hung and self._process.pid is not None:
            self._process.join(_LOOKING)
        with contextlib.suppress(ProcessLookupError, PermissionError, TypeError):
            os.killpg(self._process.pid, signal.SIGKILL)  # type: ignore[arg-type]  # it was started
        self._process.kill()
        self._process.join()
