"""What running cases side by side saves: `align verify` of the small cases, one after another and by --jobs.

    python benchmarks/side_by_side.py [--jobs 2] [--rounds 3] [CASE ...] [-- OPTIONS OF align verify]

Each round runs both commands, the order of the two changing from round to round, and prints the seconds of both. At the
end: the medians and their quotient, and whether every verdict and every finding's outcome is the same both ways.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.devices.surroundings import git_commit
from harness.running.isolation import isolated_python
from harness.running.pool import host_cores


def main() -> int:
    """Run both ways, print."""
    own, _, passed_on = " ".join(sys.argv[1:]).partition("-- ")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(own.split())
    commit = git_commit(Path(__file__).parent, but_for="baselines")
    print(f"{platform.machine()}, {host_cores()} cores, commit {commit}")
    seconds: dict[str, list[float]] = {"1": [], arguments.jobs: []}
    answers: list[dict[str, object]] = []
    for number in range(arguments.rounds):
        for jobs in sorted(seconds, reverse=bool(number % 2)):
            with tempfile.TemporaryDirectory() as folder:
                took, answer = verified([*arguments.cases, *passed_on.split()], jobs, Path(folder))
            seconds[jobs].append(took)
            answers.append(answer)
            print(f"round {number}: --jobs {jobs}: {took:.1f} s", flush=True)
    alone, beside = (statistics.median(times) for times in seconds.values())
    print(f"medians: {alone:.1f} s one after another, {beside:.1f} s by --jobs {arguments.jobs}: {beside / alone:.2f}")
    same = all(answer == answers[0] for answer in answers)
    print(f"verdicts and outcomes of findings are {'the same' if same else 'NOT the same'}: {answers[0]}")
    return 0 if same else 1


def verified(words: list[str], jobs: str, out: Path) -> tuple[float, dict[str, object]]:
    """Seconds of the command; case → verdict with how many findings of each outcome."""
    command = isolated_python("harness.cli:main", "verify", *words, "--jobs", jobs, "--out", str(out))
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    started = time.monotonic()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    took = time.monotonic() - started
    if ended.returncode == 2:
        sys.exit(ended.stderr)
    answer: dict[str, object] = {}
    for file in sorted(out.rglob("result.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        outcomes = [finding["status"] for finding in result["findings"]]
        answer[result["case"]] = (result["verdict"], {each: outcomes.count(each) for each in sorted(set(outcomes))})
    return took, answer


if __name__ == "__main__":
    sys.exit(main())
