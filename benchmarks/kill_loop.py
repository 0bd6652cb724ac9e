"""Live runs killed at random times: nothing is half-read, nothing stays running, nothing is left after the next run.

    python benchmarks/kill_loop.py [--kills 300] [--seed 0]

Each round starts ``align verify`` or ``align record`` of the tests' tiny case in a process of its own and, at a random
time of what it takes undisturbed, sends it or a process that it started SIGKILL, SIGTERM or SIGINT: the command itself,
the supervisor, or the worker that trains. Then it looks:

- orphans: a process of the round that is alive five seconds later;
- half-read: a baseline or a result that can't be read, or a result that says PASS, is of this round, and is of a
  command that ended with another verdict's exit code;
- left: after one whole run of each command at the end, a temporary file or folder of any of the rounds.

Exits with 1 where one of the counts isn't 0.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import reports
from harness.isolation import isolated_python
from harness.store.baselines import load_baseline
from harness.values.errors import AlignmentError

TINY = Path(__file__).resolve().parents[1] / "tests" / "running" / "tiny"

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

ROLES = ("command", "command", "supervisor", "worker")


def main() -> int:
    """Start, kill, look, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)  # noqa: S311  # no secret
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="kill-loop-") as name:
        place = Path(name)
        (place / "tmp").mkdir()
        lasts = {what: _whole(place, what) for what in ("record", "verify")}
        print(f"undisturbed: {', '.join(f'{what} {seconds:.1f} s' for what, seconds in lasts.items())}", flush=True)
        for number in range(asked.kills):
            what = chance.choice(("verify", "verify", "record"))
            counts += _round(place, what, chance, lasts[what])
            if number % 20 == 19:
                print(f"{number + 1}: {_told(counts)}", flush=True)
        for what in ("record", "verify"):
            _whole(place, what)
        left = [path for path in place.rglob("*") if path.name.startswith(".") or path.parent == place / "tmp"]
        # PyTorch's compiler keeps its cache there on purpose, whoever runs it and however that ends.
        left = [path for path in left if not path.name.startswith("torchinductor_")]
        counts["left"] = len(left)
        for path in left:
            print(f"  left: {path.relative_to(place)}", file=sys.stderr)
    print(_told(counts))
    return 1 if counts["orphans"] + counts["half-read"] + counts["left"] else 0


def _told(counts: Counter[str]) -> str:
    kinds = ("kills", "ended before", "orphans", "half-read", "left")
    return ", ".join(f"{counts[kind]} {kind}" for kind in kinds)


def _round(place: Path, what: str, chance: random.Random, lasts: float) -> Counter[str]:
    counts: Counter[str] = Counter()
    mark = f"{time.time_ns()}"
    started = time.time()
    process = _start(place, what, mark)
    role, sent = chance.choice(ROLES), chance.choice(SIGNALS)
    time.sleep(chance.uniform(0.02, 1.0) * lasts)
    victims = _of_role(process, role)
    if process.poll() is not None or not victims:
        counts["ended before"] += 1
    for victim in victims:
        try:
            os.kill(victim, sent)
            counts["kills"] += 1
        except ProcessLookupError:
            counts["ended before"] += 1
    process.wait(timeout=120)
    deadline = time.monotonic() + 5
    while (running := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in running:
        print(f"  orphan of {what} ({role}, {signal.Signals(sent).name})", file=sys.stderr)
        os.kill(pid, signal.SIGKILL)
    counts["orphans"] += len(running)
    counts["half-read"] += _half_read(place, what, process.returncode, started)
    return counts


def _start(place: Path, what: str, mark: str) -> subprocess.Popen[bytes]:
    words = ["--device", "cpu", "--baseline-dir", str(place / "baselines")]
    words += ["--iterations", "3"]
    words += ["--reason", "again", "--repeats", "5"] if what == "record" else ["--out", str(place / "out")]
    environment = {
        **os.environ,
        "PYTHONPATH": str(TINY),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(place / "tmp"),
        "KILL_LOOP": mark,
    }
    command = isolated_python("harness.cli.main:main", what, str(TINY / "tiny.py"), *words)
    return subprocess.Popen(  # noqa: S603  # our own words
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def _whole(place: Path, what: str) -> float:
    """Seconds of a run that nobody disturbs."""
    started = time.monotonic()
    process = _start(place, what, "whole")
    if process.wait(timeout=600) != 0:
        raise SystemExit(f"an undisturbed {what} ended with {process.returncode}")
    return time.monotonic() - started


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
        if what == "record":
            load_baseline(place / "baselines", "tiny", "cpu")
            return 0
        result = place / "out" / "tiny" / "result.json"
        told = reports.read_result(result).verdict.status.value
        anew = result.stat().st_mtime >= started
    except AlignmentError as error:
        print(f"  half-read after {what}: {error}", file=sys.stderr)
        return 1
    if anew and told == "PASS" and code not in {0, -signal.SIGKILL, 143, 130, 128 + 15}:
        print(f"  a PASS of a command that ended with {code}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
