"""What scheduling on Ray costs: simulated cards, and cases that sleep.

    python benchmarks/fleet.py [--cards 200] [--cases 600] [--seconds 30]

Starts a Ray of its own with as many cores as cards, which are Ray's counters and no cores of this machine, and verifies
cases that sleep through the same code as `align verify --cluster`. Each card is a process of Ray's, which are started
by a first round that isn't counted. Prints the throughput as a share of the ideal (cases × seconds ÷ cards), and the
overhead a case: the seconds that a card is not asleep, per case.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from pathlib import Path

import ray

from harness.devices.surroundings import git_commit
from harness.fleet.cluster import Cluster
from harness.fleet.travel import Job
from harness.running.pool import host_cores


def main() -> None:
    """Schedule, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=200)
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--warm", type=float, default=0.0, help="seconds of the first round: until all have started")
    arguments = parser.parse_args()
    commit = git_commit(Path(__file__).parent, but_for="baselines")
    print(f"{platform.machine()}, {host_cores()} cores, Ray {ray.__version__}, commit {commit}")
    ray.init(num_cpus=arguments.cards, include_dashboard=False, log_to_driver=False, logging_level="error")
    with Cluster("auto") as cluster:
        started = time.monotonic()
        waits = arguments.warm or 10 + arguments.cards  # a process that has ended one would take another's job
        warm = [Job(number, "warm", seconds=waits) for number in range(arguments.cards)]
        processes = len(list(cluster.run(warm)))
        spent = time.monotonic() - started - waits
        print(f"{processes} processes started, the last after {spent:.0f} s, not counted", flush=True)
        jobs = [Job(number, "sleeps", seconds=arguments.seconds) for number in range(arguments.cases)]
        started = time.monotonic()
        done = {answer.number for answer in cluster.run(jobs)}
        took = time.monotonic() - started
    ray.shutdown()
    rounds = math.ceil(arguments.cases / arguments.cards)
    ideal = rounds * arguments.seconds
    overhead = (took * arguments.cards - arguments.cases * arguments.seconds) / arguments.cases
    print(f"{len(done)} of {arguments.cases} cases of {arguments.seconds:g} s on {arguments.cards} cards: {took:.1f} s")
    print(f"throughput: {100 * ideal / took:.1f} % of the ideal {ideal:.0f} s; overhead {overhead:.2f} s a case")


if __name__ == "__main__":
    main()
