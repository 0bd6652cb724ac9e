"""What scheduling on Ray costs: simulated hosts with cards, and cases that sleep.

    python benchmarks/fleet.py [--cards 200] [--cards-a-host 8] [--cases 600] [--seconds 30]

Starts a Ray of its own: a raylet for each simulated host, with as many cores as cards, which are Ray's counters and no
cores of this machine; and verifies cases that sleep through the same code as `align verify --cluster`. Each card has a
process of Ray's, as on a real host, where eight of them start beside each other and once. Here they all start on this
machine's few cores, which says nothing of a fleet: they meet at a barrier before the clock starts. Prints the
throughput as a share of the ideal (cases × seconds ÷ cards), and the overhead a case: the seconds that a card is not
asleep, per case.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import tempfile
import time
from importlib import import_module
from pathlib import Path

import ray
from ray.cluster_utils import Cluster as Hosts

from harness.devices.surroundings import git_commit
from harness.fleet.cluster import Cluster
from harness.fleet.remote import run_job
from harness.fleet.travel import Job
from harness.running.pool import host_cores

PATIENT = {
    "RAY_worker_niceness": "0",  # else they get nothing beside whatever else runs here
    "RAY_worker_register_timeout_seconds": "900",  # two cores start all the processes of many hosts
    "RAY_idle_worker_killing_time_threshold_ms": "3600000",
    "RAY_health_check_timeout_ms": "120000",
    "RAY_health_check_failure_threshold": "20",
}
"""Settings of Ray's for a machine on which hundreds of processes start at once; none of them is about scheduling."""


def main() -> None:
    """Start hosts, schedule, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=200)
    parser.add_argument("--cards-a-host", type=int, default=8)
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    commit = git_commit(Path(__file__).parent, but_for="baselines")
    print(f"{platform.machine()}, {host_cores()} cores, Ray {ray.__version__}, commit {commit}", flush=True)
    os.environ.update(PATIENT)
    started = time.monotonic()
    sizes = [
        min(arguments.cards_a_host, arguments.cards - first)
        for first in range(0, arguments.cards, arguments.cards_a_host)
    ]
    small = {"object_store_memory": 80 * 2**20}
    hosts = Hosts(initialize_head=True, head_node_args={"num_cpus": sizes[0], "include_dashboard": False, **small})
    try:
        for size in sizes[1:]:
            hosts.add_node(wait=False, num_cpus=size, **small)
        hosts.wait_for_nodes(timeout=300)
        print(f"{len(sizes)} hosts after {time.monotonic() - started:.0f} s", flush=True)
        measure(hosts.address, arguments)
    finally:
        ray.shutdown()
        hosts.shutdown()


def measure(address: str, arguments: argparse.Namespace) -> None:
    """Start the cards' processes, then clock the cases."""
    with Cluster(address) as cluster, tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        processes = start_processes(arguments.cards, Path(folder))
        print(f"{processes} processes, the last after {time.monotonic() - started:.0f} s, not counted", flush=True)
        jobs = [Job(number, "sleeps", seconds=arguments.seconds) for number in range(arguments.cases)]
        started = time.monotonic()
        answers = list(cluster.run(jobs, 1, run_job))
        took = time.monotonic() - started
    done, places = {answer.number for answer in answers}, {answer.host for answer in answers}
    ideal = math.ceil(arguments.cases / arguments.cards) * arguments.seconds
    overhead = (took * arguments.cards - arguments.cases * arguments.seconds) / arguments.cases
    print(f"{len(done)} of {arguments.cases} cases of {arguments.seconds:g} s on {arguments.cards} cards of "
          f"{len(places)} hosts: {took:.1f} s")  # fmt: skip
    print(f"throughput: {100 * ideal / took:.1f} % of the ideal {ideal:.0f} s; overhead {overhead:.2f} s a case")


def start_processes(cards: int, folder: Path) -> int:
    """Have one process a card started; each waits until all are there, else one would take another's place."""

    def arrive(number: int) -> int:
        import_module("harness.fleet.remote")  # what a process does once, too
        (folder / str(number)).touch()
        while len(list(folder.iterdir())) < cards:
            time.sleep(1)
        return os.getpid()

    arriving = ray.remote(num_cpus=1)(arrive)
    return len(set(ray.get([arriving.remote(number) for number in range(cards)])))


if __name__ == "__main__":
    main()
