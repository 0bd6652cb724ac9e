"""A run in a child process, watched: ended when it makes no progress, lasts too long, or has nothing left to decide."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.running.folder import ERROR, ORDER, OUTPUT, PROVENANCE, RANK_OUTPUTS, STREAM, VALIDATING
from harness.running.isolation import isolated_python
from harness.running.lifeline import watched
from harness.running.order import Order
from harness.running.partial import PartialRun
from harness.running.pool import Slot
from harness.running.pulse import rank_behind, read_checked, read_pulses
from harness.running.supervisor import end_supervisor
from harness.running.told import Told
from harness.store.decoding import read_value
from harness.store.provenance_file import read_provenance
from harness.store.stream import StreamLine, StreamRow, follow_stream, read_stream
from harness.values.errors import AlignmentError, RunError, TraceError
from harness.values.provenance import Provenance
from harness.values.trace import Trace

__all__ = ["Run", "Timeouts", "execute", "read_run"]

_SHARED_CORES = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait sleep: spinning, two runs on the same cores take ten times as long as one after the other."""

_PLAIN = {"PYTHONUNBUFFERED": "1", "MPLBACKEND": "Agg"}
"""What is printed is seen at once, and nothing is drawn on a screen."""

_TAIL = 16_384  # bytes

_FULL = 2**20
"""Bytes. A disk with less is taken for full: what a run that failed to write a file had begun is deleted by then."""


@dataclass(frozen=True)
class Timeouts:
    """How long a run may take.

    Args:
        start: seconds until the first iteration: loading, compiling, the first kernels.
        stall: seconds from one iteration to the next.
        limit: seconds in all.
    """

    start: float = 600.0
    stall: float = 300.0
    limit: float = 24 * 3600.0


@dataclass(frozen=True, eq=False)
class Run:
    """What a child process left.

    Args:
        trace: its trace, cut short or not; None where it wrote none.
        provenance: where it comes from; None where it didn't get that far.
        error: why it ended before its end; None where it didn't.
        output: the tail of what it printed.
        seconds: wall-clock time.
        stopped: whether it was ended because the trace decides the verdict: then it is no error to be short.
    """

    trace: Trace | None
    provenance: Provenance | None
    error: AlignmentError | None
    output: str
    seconds: float
    stopped: bool = False


@dataclass(frozen=True, eq=False)
class _Ending:
    """Why a child is ended before its end: it hangs, its stream is broken, or what it has streamed decides.

    None of them where it ended itself.
    """

    hung: str = ""
    broken: TraceError | None = None
    decided: tuple[Trace, Provenance] | None = None


def execute(
    order: Order,
    folder: Path,
    *,
    timeouts: Timeouts | None = None,
    on_iteration: Callable[[StreamRow], None] | None = None,
    on_check: Callable[[int, int], None] | None = None,
    decides: Callable[[Trace, Provenance], bool] | None = None,
    slot: Slot | None = None,
) -> Run:
    """Run an order in a child process and wait for its end, or bring it about.

    Args:
        order: what to run.
        folder: where the run leaves its files; it must not hold a run, but for one that is resumed.
        timeouts: how long it may take.
        on_iteration: called with each iteration that the run streams.
        on_check: called within a shadowed iteration with its number and how many of its operations are checked.
        decides: asked of the run as far as it has got, before its last iteration; the run is ended where it says so.
        slot: the part of the machine that it has; all of it without one.

    Returns:
        What it left. A run that crashed, hung or was cut short has an ``error``; nothing is raised for it. One that was
        ``stopped`` has the trace that decided.

    Raises:
        RunError: the folder holds a run already, another is under way there, or its slot was stopped.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with _claimed(folder):
        return _execute(order, folder, timeouts or Timeouts(), on_iteration, on_check, decides, slot or Slot())


def _execute(
    order: Order,
    folder: Path,
    timeouts: Timeouts,
    on_iteration: Callable[[StreamRow], None] | None,
    on_check: Callable[[int, int], None] | None,
    decides: Callable[[Trace, Provenance], bool] | None,
    slot: Slot,
) -> Run:
    """See ``execute``; the folder is this call's alone."""
    if (folder / STREAM).exists() and not order.resume:
        otherwise = (
            "choose another --work-dir, or go on with --resume" if order.training else "choose another --work-dir"
        )
        raise RunError("the folder holds a run already", where=folder, hint=f"delete it, {otherwise}")
    order.write(folder / ORDER)
    # Of the run that is resumed: its reason isn't this run's, and the origin's being there says that the trace is cut.
    for leftover in (ERROR, PROVENANCE):
        (folder / leftover).unlink(missing_ok=True)
    started = time.monotonic()
    with (folder / OUTPUT).open("wb") as output:
        child = subprocess.Popen(  # noqa: S603  # our own words; the config is the user's own program
            _command(order, folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**_SHARED_CORES, **os.environ, **slot.environment, **watched(), **_PLAIN},
        )
        try:
            follows = order.node > 0
            ending = _watch(child, folder, timeouts, on_iteration, decides, slot, follows=follows, on_check=on_check)
        except TraceError as failure:
            ending = _Ending(broken=failure)
        finally:
            end_supervisor(child)
    seconds = time.monotonic() - started
    if ending.decided is not None:
        return Run(*ending.decided, None, _tail(folder / OUTPUT), seconds, stopped=True)
    return _collect(folder, child.returncode, ending, seconds, records=order.node == 0)


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """The folder for one run at a time: the system takes the claim back when this process ends, however it does.

    Raises:
        RunError: another run is under way there.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                "another run is under way in the folder", where=folder, hint="choose another --work-dir, or wait for it"
            ) from None
        except OSError:
            pass  # a file system that knows no locks
        yield
    finally:
        os.close(descriptor)


def _command(order: Order, folder: Path) -> list[str]:
    worker = isolated_python("harness.running.worker:main", str(folder))
    if order.launcher != "none":
        host, _, port = order.meeting.rpartition(":")
        nodes = [
            f"--nnodes={order.nodes}",
            f"--node-rank={order.node}",
            f"--master-addr={host}",
            f"--master-port={port}",
        ]
        # To the output, and to a file a rank: `worker.launch` quotes the one that crashed first.
        kept = [f"--log-dir={folder / RANK_OUTPUTS}", "--tee=3"]
        words = [*(nodes if order.nodes > 1 else ["--standalone"]), f"--nproc-per-node={order.processes}", *kept]
        worker = isolated_python("harness.running.worker:launch", str(folder), *words, "--no-python", *worker)
    return isolated_python("harness.running.supervisor:main", str(folder / OUTPUT), *worker)


def _watch(
    child: subprocess.Popen[bytes],
    folder: Path,
    timeouts: Timeouts,
    on_iteration: Callable[[StreamRow], None] | None,
    decides: Callable[[Trace, Provenance], bool] | None,
    slot: Slot,
    *,
    follows: bool,
    on_check: Callable[[int, int], None] | None = None,
) -> _Ending:
    """Follow the stream until the child ends, or is to be ended; on a machine that records none, the pulses."""
    started = progressed = time.monotonic()
    offset, iterations = 0, 0
    signs = _Signs(folder, follows=follows, on_check=on_check)
    partial = PartialRun(folder)
    while True:
        # Asked before the stream is read: what the child wrote last is then read once more before this loop ends.
        ended = child.poll() is not None
        has_begun = (folder / PROVENANCE).exists()  # else a run that is resumed has yet to cut its trace
        lines, offset = follow_stream(folder / STREAM, offset) if has_begun else ([], offset)
        for line in lines:
            if isinstance(line, StreamRow):
                iterations += 1
                if on_iteration is not None:
                    on_iteration(line)
        if ended:
            return _Ending()
        if slot.stop.is_set():
            raise RunError("the run was ended, as the command that it belongs to was", where=folder)
        if lines and decides is not None and (decided := _decided(partial, lines, decides)):
            return _Ending(decided=decided)
        now = time.monotonic()
        progressed = now if signs.is_new() or lines else progressed
        iterations = max(iterations, signs.iterations)
        if hung := _hung(timeouts, now - started, now - progressed, iterations):
            behind = rank_behind(folder)
            return _Ending(f"{hung}; {behind}" if behind else hung)
        time.sleep(0.05)


@dataclass
class _Signs:
    """What a run tells of itself beside its iterations: that a long one, or a validation, goes on.

    Args:
        folder: of the run.
        follows: whether the iterations are streamed on another machine: here each process tells where it is.
        on_check: called with the number of a shadowed iteration and how many of its operations are checked.
        iterations: how many were told of, where none is streamed.
    """

    folder: Path
    follows: bool
    on_check: Callable[[int, int], None] | None
    iterations: int = 0
    _validated: float = 0.0
    _checked: dict[int, tuple[int, int]] = field(default_factory=dict)
    _pulses: dict[int, tuple[int, int]] = field(default_factory=dict)

    def is_new(self) -> bool:
        """Whether there is a sign that wasn't there when this was asked last."""
        before = (self._validated, self._checked, self._pulses)
        self._validated = _touched(self.folder / VALIDATING)
        # A file that is being written tells nothing.
        self._checked = {**self._checked, **read_checked(self.folder)}
        if self._checked != before[1] and self.on_check is not None:
            self.on_check(*min(self._checked.values()))  # of the process that is furthest behind
        if self.follows:
            self._pulses = {**self._pulses, **read_pulses(self.folder)}
            self.iterations = max((pulse[0] for pulse in self._pulses.values()), default=0)
        return (self._validated, self._checked, self._pulses) != before


def _decided(
    partial: PartialRun, lines: Sequence[StreamLine], decides: Callable[[Trace, Provenance], bool]
) -> tuple[Trace, Provenance] | None:
    """What the run has left so far where that decides, and some of it is still to come."""
    partial.add(lines)
    read = partial.read()
    return read if read and len(read[0]) < read[0].planned and decides(*read) else None


def _touched(path: Path) -> float:
    """When a file was touched last; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _hung(timeouts: Timeouts, seconds: float, idle: float, iterations: int) -> str:
    """Why the child is to be killed; empty where it isn't."""
    allowed = timeouts.stall if iterations else timeouts.start
    if idle > allowed:
        return f"no progress for {allowed:.0f} s after {iterations} iterations"
    if seconds > timeouts.limit:
        return f"not done after {timeouts.limit:.0f} s and {iterations} iterations"
    return ""


def read_run(folder: Path) -> Run:
    """What a run left that nobody watched over: a training that was watched in place.

    Raises:
        RunError: the folder holds no run.
    """
    if not (folder / STREAM).exists():
        raise RunError(
            "the folder holds no run", where=folder, observed=f"no {STREAM}", allowed="what harness.watch left"
        )
    return _collect(folder, 0, _Ending(), 0.0)


def _collect(folder: Path, returncode: int, ending: _Ending, seconds: float, *, records: bool = True) -> Run:
    trace = provenance = None
    error = ending.broken or _told(folder / ERROR)
    try:
        started = (folder / STREAM).exists() and (folder / STREAM).stat().st_size > 0
        trace = read_stream(folder / STREAM, largest=None) if started else None
        provenance = read_provenance(folder / PROVENANCE) if (folder / PROVENANCE).exists() else None
    except AlignmentError as failure:
        error = error or failure
    done = f"{len(trace)} of {trace.planned} iterations" if trace else "no iteration"
    hint = f"read {folder / OUTPUT}"
    # What a child tells while it is being killed isn't why it was.
    if ending.hung:
        error = RunError(f"the run was killed: {ending.hung}", observed=done, hint=hint)
    elif error is None and returncode != 0:
        how = f"signal {signal.Signals(-returncode).name}" if returncode < 0 else f"exit code {returncode}"
        error = RunError("the run crashed", observed=f"{how}, {done}", hint=hint)
        if (free := _free(folder)) < _FULL:  # its traceback found no room either
            error = RunError(
                "the run crashed, and the disk that its files lie on is full",
                where=folder,
                observed=f"{how}, {done}; {free:,} bytes are free",
                hint="free space there, or choose a folder on another disk: --work-dir",
            )
    elif error is None and records and (trace is None or provenance is None or not trace.complete):
        error = RunError("the run ended before its end", observed=done, hint=hint)
    return Run(trace, provenance, error, _tail(folder / OUTPUT), seconds)


def _free(folder: Path) -> int:
    """Bytes that can still be written there."""
    return shutil.disk_usage(folder).free


def _told(path: Path) -> AlignmentError | None:
    """The reason that the child gave itself."""
    if not path.exists():
        return None
    try:
        return read_value(path, Told, RunError, schema=Told.SCHEMA).as_error()
    except RunError as failure:
        return RunError("the run failed, and its reason can't be read", where=path, observed=failure.what)


def _tail(path: Path, lines: int = 40) -> str:
    """The end of what a run printed; why there is none where that is no file: the verdict stands without it."""
    try:
        if not path.is_file():
            raise RunError("not a plain file", where=path)
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return "\n".join(file.read(_TAIL).decode("utf-8", "replace").splitlines()[-lines:])
    except (OSError, RunError) as failure:
        return f"(what the run printed can't be read: {failure})"
