"""How fast a large log is read, against `re.findall` over its whole text, and in how much memory.

    python benchmarks/log_parsing.py [--records 1000000] [--rounds 5]

Each round reads the log both ways, in processes of their own, one right after the other; what is compared is the ratio
of a round, because machines are shared. The patterns are those of the field's own scripts: the loss alone, or the loss
with its iteration and rank, as `read_log` returns it.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

_READ = """
import json, resource, sys, time
from harness.logs import read_log
start = time.perf_counter()
log = read_log(sys.argv[1])
seconds = time.perf_counter() - start
print(json.dumps([seconds, len(log), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
_FIND = """
import json, re, resource, sys, time
start = time.perf_counter()
found = re.findall(sys.argv[2], open(sys.argv[1]).read())
seconds = time.perf_counter() - start
print(json.dumps([seconds, len(found), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""

_LOGS = {
    "TCAPPDLL": (
        r"train\.loss : ([\d\.e-]+)",
        r"Iteration: (\d+)\s+rank\s*:\s*(\d+)\s+train\.loss\s*:\s*(\S+)",
        r"TCAPPDLL.*?Iteration: (\d+).*?rank\s*:\s*(\d+).*?train\.loss\s*:\s*(\S+)",
    ),
    "mmengine": (
        r" loss: ([\d\.e-]+)",
        r"Iter\(train\) \[\s*(\d+)/\d+\].*?\sloss: (\S+)",
    ),
}


def main() -> None:
    """Measure, and print a line a pattern."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, patterns in _LOGS.items():
            path = Path(folder) / f"{name}.log"
            write_log(path, name, arguments.records)
            print(f"{name}: {arguments.records:,} records, {path.stat().st_size / 1e6:.0f} MB")
            for pattern in patterns:
                rounds = [(measure(_READ, path), measure(_FIND, path, pattern)) for _ in range(arguments.rounds)]
                ratio = statistics.median(read[0] / find[0] for read, find in rounds)
                read, find = rounds[-1]
                print(
                    f"  read_log {read[0]:.2f} s, {read[2]:.0f} MB; findall {find[0]:.2f} s, {find[2]:.0f} MB; "
                    f"ratio {ratio:.2f} (median of {len(rounds)}): {pattern}"
                )
                if read[1] != arguments.records or find[1] != arguments.records:
                    sys.exit(f"read {read[1]:,} and found {find[1]:,} of {arguments.records:,} records")


def write_log(path: Path, kind: str, records: int) -> None:
    """A log of about 200 bytes a record."""
    rng = random.Random(0)  # noqa: S311  # made-up numbers
    with path.open("w") as file:
        for i in range(records):
            clock = f"12:{i // 60 % 60:02d}:{i % 60:02d}"
            loss, ips, time = 5 * rng.random(), 100 * rng.random(), rng.random()
            if kind == "TCAPPDLL":
                file.write(
                    f"INFO - 2025-07-01 {clock},123 - base_task - TCAPPDLL 2025-07-01 {clock}.{i % 10**6:06d} - "
                    f"Epoch: 0 Iteration: {i}  rank : 0  train.loss : {loss:.6f}  train.ips : {ips:.4f} imgs/s "
                    f"train.total_time : {time:.6f}\n"
                )
            else:
                file.write(
                    f"2025/07/01 {clock} - mmengine - INFO - Iter(train) [{i + 1:>7}/{records}]  lr: {9e-3:.4e}  "
                    f"eta: 1:23:45  time: {time:.4f}  data_time: 0.0053  memory: {9000 + i % 3000}  loss: {loss:.4f}  "
                    f"decode.loss_ce: {loss * 0.7:.4f}  decode.acc_seg: {ips:.4f}  aux.loss_ce: {loss * 0.3:.4f}\n"
                )


def measure(program: str, *arguments: object) -> tuple[float, int, float]:
    """Seconds, records and peak memory in MB of a program in a process of its own."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])  # noqa: S603
    seconds, records, memory = json.loads(done.stdout)
    return seconds, records, memory


if __name__ == "__main__":
    main()
