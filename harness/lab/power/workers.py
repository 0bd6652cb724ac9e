"""A pool of workers: long-lived processes that run a study's experiments, and are replaced where they die."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.lab.power.finished_run import Ending, write_outcome
from harness.lab.power.study_folder import OUTCOME
from harness.lab.power.study_run import Experiment
from harness.lab.power.study_worker import Answer
from harness.running.isolation import isolated_python
from harness.running.lifeline import watched
from harness.store.decoding import decode_value
from harness.values.errors import RunError

__all__ = ["Task", "WorkerPool"]

_TAIL = 2000

_ENTRY = "harness.lab.power.study_worker:main"

_HEAP = ("hugetlb=1", "mmap_threshold=33554432", "trim_threshold=8589934592", "top_pad=67108864")
"""glibc keeps what was freed, in huge pages: else every step of training faults its gigabytes in anew, page by page.
Where the system's allocator is another, this says nothing to it."""


@dataclass(frozen=True)
class Task:
    """An experiment to run.

    Args:
        experiment: what.
        folder: where it leaves its files.
        line: what the worker is asked.
    """

    experiment: Experiment
    folder: Path
    line: str


class WorkerPool:
    """Runs tasks on a number of worker processes.

    Args:
        jobs: how many.
        logs: folder for what the workers print.
        timeout: seconds that one experiment may take.
    """

    def __init__(self, jobs: int, logs: Path, timeout: float) -> None:
        self._jobs = jobs
        self._logs = logs
        self._timeout = timeout

    def run(self, tasks: Sequence[Task], on_done: Callable[[Task], None]) -> None:
        """Run all tasks; returns when the last is done, and ends every worker also when it is interrupted.

        Args:
            tasks: in the order in which they are begun.
            on_done: called after each task, in the caller's thread.

        Raises:
            RunError: a worker can't be started.
        """
        waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in tasks:
            waiting.put(task)
        done: queue.SimpleQueue[Task | BaseException | None] = queue.SimpleQueue()
        stop = threading.Event()
        self._logs.mkdir(parents=True, exist_ok=True)
        threads = [
            threading.Thread(target=self._work, args=(number, waiting, done, stop), daemon=True)
            for number in range(min(self._jobs, len(tasks)))
        ]
        for thread in threads:
            thread.start()
        working = len(threads)
        try:
            while working:
                told = done.get()
                if told is None:
                    working -= 1
                elif isinstance(told, BaseException):
                    raise told
                else:
                    on_done(told)
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=10)

    def _work(
        self,
        number: int,
        waiting: queue.SimpleQueue[Task],
        done: queue.SimpleQueue[Task | BaseException | None],
        stop: threading.Event,
    ) -> None:
        worker: _Worker | None = None
        log = self._logs / f"worker-{number}.log"
        try:
            while not stop.is_set():
                try:
                    task = waiting.get_nowait()
                except queue.Empty:
                    break
                worker = self._serve(task, worker or _Worker(log), log, stop)
                if stop.is_set():
                    break
                done.put(task)
        except BaseException as failure:  # noqa: BLE001  # told to the caller's thread, which raises it
            done.put(failure)
        finally:
            if worker is not None:
                worker.end()
            done.put(None)

    def _serve(self, task: Task, worker: _Worker, log: Path, stop: threading.Event) -> _Worker | None:
        """Have a task end in an outcome; the worker to go on with, None where it has to be a new one.

        A process that dies without a word is given a second chance: the machine may have killed it, and a fault that
        kills it does so again.
        """
        started = time.monotonic()
        cause = ""
        while True:
            over = worker.ask(task.line, self._timeout, stop)
            if stop.is_set() or (task.folder / OUTCOME).exists():
                if over:
                    worker.end()
                return None if over else worker
            second, cause = bool(cause), worker.how_it_ended()
            worker.end()
            if second or worker.hung:
                break
            worker = _Worker(log)
        task.folder.mkdir(parents=True, exist_ok=True)
        write_outcome(task.folder, task.experiment, Ending.CRASHED, cause, time.monotonic() - started)
        return None


def _environment() -> dict[str, str]:
    """A worker's: one thread each, since there are as many workers as cores. The user's own allocator settings win."""
    heap = ":".join(f"glibc.malloc.{setting}" for setting in _HEAP)
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return {"GLIBC_TUNABLES": heap, **os.environ, **threads, **watched(), "MPLBACKEND": "Agg"}


def _is_over(answer: bytes) -> bool:
    """Whether a worker has to be replaced after its answer: it ended with it, or in the middle of a line."""
    try:
        return decode_value(answer, Answer, "an answer", RunError).ending is Ending.CRASHED
    except RunError:
        return True


class _Worker:
    """One process."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.hung = ""
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  # our own words; the config is the user's own program
                isolated_python(_ENTRY),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
                env=_environment(),
            )
        if self._process.stdin is None or self._process.stdout is None:
            raise RunError("a worker has no pipes", where=log)
        self._asks, self._answers = self._process.stdin, self._process.stdout

    def ask(self, line: str, timeout: float, stop: threading.Event) -> bool:
        """Have an experiment run; whether the process has to be replaced afterwards."""
        try:
            self._asks.write(line.encode())
            self._asks.flush()
        except OSError:
            return True
        deadline = time.monotonic() + timeout
        while not stop.is_set():
            if select.select([self._answers], [], [], 0.2)[0]:
                return _is_over(self._answers.readline())
            if time.monotonic() > deadline:
                self.hung = f"no answer after {timeout:.0f} s"
                return True
        return True

    def how_it_ended(self) -> str:
        """Why there is no outcome."""
        if self.hung:
            return self.hung
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.poll()
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        with self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - _TAIL))
            return f"the process died: {how}\n{file.read().decode('utf-8', 'replace')}"

    def end(self) -> None:
        """Kill it with everything that it started."""
        with contextlib.suppress(OSError):
            self._asks.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._answers.close()
