"""Commands killed at random times: nothing is half-read, nothing stays running, nothing is left after the next run.

    python benchmarks/kill_loop.py [--kills 300] [--seed 0]

Each round starts a command in a process of its own and sends it or a process that it started SIGKILL, SIGTERM or
SIGINT: ``align verify`` and ``align record`` of the tests' tiny case, where it may be the command itself, the
supervisor or the worker that trains; and ``align judge`` and ``align record --from`` of runs that are there already,
the halves of those that write. Half of the rounds strike at any time of what the command takes undisturbed, most of
which is starting up and training; the other half while it writes its result or baseline, to its end. Then it looks:

- orphans: a process of the round that is alive some seconds later (``--grace``);
- half-read: a baseline or a result that can't be read, or a result that says PASS, is of this round, and is of a
  command that ended with another verdict's exit code;
- left: after one whole run of each command at the end, a temporary file or folder of any of the rounds.

A round whose victim had ended before is no kill. Exits with 1 where one of the counts isn't 0.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import reports
from harness.running.isolation import isolated_python
from harness.store.baselines import load_baseline
from harness.values.errors import AlignmentError

TINY = Path(__file__).resolve().parents[1] / "tests" / "running" / "tiny"

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

ROLES = ("command", "command", "supervisor", "worker")

CONFIG = TINY / "tiny.py"

SCRIPT = TINY.parents[1] / "training" / "own" / "script.py"

_BASELINES = ("--baseline-dir", "baselines", "--reason", "again")
_TRAINED = ("--device", "cpu", "--iterations", "2")
_VERIFIED = ("verify", str(CONFIG), *_TRAINED, "--out", "out", "--baseline-dir", "baselines", "--shadow")

COMMANDS = {
    "record": ("record", str(CONFIG), *_TRAINED, *_BASELINES, "--repeats", "5"),
    "verify": (*_VERIFIED, "none"),
    "verify, with shadow ops": (*_VERIFIED, "0"),
    "record from runs": ("record", "script", *_BASELINES, "--from", *(f"runs/fp32-{repeat}" for repeat in range(5))),
    "judge": ("judge", "runs/plain", "--baseline", "baselines/script/cpu", "--out", "out"),
}
"""What is run → its words. Most of a round is starting processes: longer trainings would only take longer."""

CHOSEN = (*["verify"] * 6, *["verify, with shadow ops"] * 3, "record", *["record from runs"] * 5, *["judge"] * 5)


@dataclass(frozen=True)
class Undisturbed:
    """Seconds that a command takes.

    Args:
        whole: from its start to its end.
        writing: of these from the first change where it writes.
    """

    whole: float
    writing: float


def main() -> int:
    """Start, kill, look, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grace", type=float, default=5.0, help="seconds after which what still runs is an orphan")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chance = random.Random(asked.seed)  # noqa: S311  # no secret
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="kill-loop-") as name:
        place = Path(name)
        (place / "tmp").mkdir()
        _watched_runs(place)
        lasts = {what: _whole(place, what) for what in COMMANDS}
        for what, seconds in lasts.items():
            print(f"undisturbed {what}: {seconds.whole:.1f} s, {seconds.writing:.2f} s of them writing", flush=True)
        while counts["kills"] < asked.kills:
            what = chance.choice(CHOSEN)
            counts += _round(place, what, chance, lasts[what], asked.grace)
            counts["rounds"] += 1
            if counts["rounds"] % 5 == 0:
                print(f"{time.strftime('%H:%M:%S')} {_told(counts)}", flush=True)
        for what in lasts:
            _whole(place, what)
        left = [path for path in place.rglob("*") if path.name.startswith(".") or path.parent == place / "tmp"]
        # PyTorch's compiler keeps its cache there on purpose, whoever runs it and however that ends.
        left = [path for path in left if not path.name.startswith("torchinductor_")]
        counts["left"] = len(left)
        for path in left:
            print(f"  left: {path.relative_to(place)}", file=sys.stderr)
    print(_told(counts))
    return 1 if counts["orphans"] + counts["half-read"] + counts["left"] else 0


def _watched_runs(place: Path) -> None:
    """Five repeats of a script's training, and the run that is judged against them."""
    train = runpy.run_path(str(SCRIPT))["main"]
    with contextlib.redirect_stdout(io.StringIO()):
        for repeat in range(5):
            os.environ.update(ALIGN_TIER="fp32", ALIGN_REPEAT=str(repeat))
            train(str(place / "runs"), "cpu")
        del os.environ["ALIGN_TIER"], os.environ["ALIGN_REPEAT"]
        train(str(place / "runs" / "plain"), "cpu")


def _told(counts: Counter[str]) -> str:
    kinds = ("kills", "while writing", "ended before", "orphans", "half-read", "left")
    return ", ".join(f"{counts[kind]} {kind}" for kind in kinds)


def _round(place: Path, what: str, chance: random.Random, lasts: Undisturbed, grace: float) -> Counter[str]:
    counts: Counter[str] = Counter()
    mark = f"{time.time_ns()}"
    started = time.time()
    before = _written(place)
    role, sent, writing = chance.choice(ROLES), chance.choice(SIGNALS), chance.random() < 0.5
    with _started(place, what, mark) as process:
        if writing:
            role = "command"  # nobody else is there any more
            _wait_for_writing(process, place, before)
            time.sleep(chance.random() * lasts.writing)
        else:
            time.sleep(chance.uniform(0.02, 1.0) * lasts.whole)
        struck = [victim for victim in _of_role(process, role) if _strike(victim, sent)]
        process.wait(timeout=1200)
    counts["kills"] += len(struck)
    counts["while writing"] += len(struck) if writing else 0
    counts["ended before"] += not struck
    deadline = time.monotonic() + grace
    while (running := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in running:
        print(f"  orphan of {what} ({role}, {signal.Signals(sent).name}): {_command(pid)}", file=sys.stderr)
        os.kill(pid, signal.SIGKILL)
    counts["orphans"] += len(running)
    counts["half-read"] += _half_read(place, what, process.returncode, started)
    return counts


def _strike(victim: int, sent: signal.Signals) -> bool:
    """Send a signal; whether there was somebody to get it."""
    try:
        os.kill(victim, sent)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def _started(place: Path, what: str, mark: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command under way; one that still is when this ends, because this loop is ended itself, is killed."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(TINY), os.environ.get("PYTHONPATH", ""))).rstrip(os.pathsep),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(place / "tmp"),
        "KILL_LOOP": mark,
    }
    process = subprocess.Popen(  # noqa: S603  # our own words
        isolated_python("harness.cli.main:main", *COMMANDS[what]),
        cwd=place,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _whole(place: Path, what: str) -> Undisturbed:
    """How long a run takes that nobody disturbs."""
    started, before = time.monotonic(), _written(place)
    with _started(place, what, "whole") as process:
        writes = _wait_for_writing(process, place, before)
        if process.wait(timeout=1200) != 0:
            raise SystemExit(f"an undisturbed {what} ended with {process.returncode}")
    ended = time.monotonic()
    return Undisturbed(ended - started, ended - writes)


def _written(place: Path) -> frozenset[tuple[str, int]]:
    """What is written first when a command has its result: a baseline's files, and a case's trace, temporary ones too.

    The rest of a result's folder says "not run" from the command's start on.
    """
    found = set()
    for path in (*(place / "out").glob("*/*trace.csv*"), *(place / "baselines").glob("*/**/*")):
        try:
            found |= set() if path.is_dir() else {(str(path), path.stat().st_mtime_ns)}
        except OSError:
            continue
    return frozenset(found)


def _wait_for_writing(process: subprocess.Popen[bytes], place: Path, before: frozenset[tuple[str, int]]) -> float:
    """Wait until a file is written there, or the command ends; tells when that was. What goes isn't written."""
    while process.poll() is None and _written(place) <= before:
        time.sleep(0.003)
    return time.monotonic()


def _of_role(process: subprocess.Popen[bytes], role: str) -> list[int]:
    """The command itself, its child that supervises, or that one's that trains; none where it isn't there yet."""
    chosen = [process.pid] if process.poll() is None else []
    for _ in range(ROLES[1:].index(role)):
        chosen = [child for parent in chosen for child in _children(parent)][:1]
    return chosen


def _children(parent: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except OSError:
        return []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")[:200]
    except OSError:
        return "gone"


def _marked(mark: str) -> list[int]:
    """The processes of a round: whatever it started, and whatever that started, has its mark."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"KILL_LOOP={mark}".encode() in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        found += [int(entry.name)] if marked else []
    return found


def _half_read(place: Path, what: str, code: int, started: float) -> int:
    """Whether what lies there now is neither whole nor an error that says why."""
    try:
        case = "script" if what in {"judge", "record from runs"} else "tiny"
        if what.startswith("record"):
            load_baseline(place / "baselines", case, "cpu")
            return 0
        result = place / "out" / case / "result.json"
        if not result.exists():  # killed before it was written
            return 0
        told = reports.read_result(result).verdict.status.value
        anew = result.stat().st_mtime >= started
    except AlignmentError as error:
        print(f"  half-read after {what}: {error}", file=sys.stderr)
        return 1
    # A signal that comes after all is written, while Python ends, is Python's: it ends by it.
    if anew and told == "PASS" and code not in {0, 143, 130, *(-sent for sent in SIGNALS)}:
        print(f"  a PASS of a command that ended with {code}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
