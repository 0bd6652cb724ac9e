"""What the emulation costs: training iterations on the emulated device and on the CPU, in turn, in one process.

    python benchmarks/emulation_cost.py [--cases ann_small ocrnet_small] [--profiles exact tf32] [--pairs 20]

Prints the ratio of the times, emulated over CPU, pair by pair (median and quartiles).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from training_step import TrainingStep

from harness.devices.surroundings import git_commit, versions
from harness.lab.emulation import install


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["ann_small", "ocrnet_small"])
    parser.add_argument("--profiles", nargs="+", default=["exact", "fp32", "tf32"])
    parser.add_argument("--pairs", type=int, default=20)
    arguments = parser.parse_args()
    install("exact")
    print(f"torch {versions()['torch']}, {torch.get_num_threads()} threads, commit {git_commit(Path(__file__).parent)}")
    for name in arguments.cases:
        cpu, emulated = (steps_of(name, device) for device in ("cpu", "sdaa"))
        for profile in arguments.profiles:
            install(profile)
            ratios, seconds = in_turn(cpu, emulated, arguments.pairs)
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(f"{name} {profile}: {middle:.2f} ({low:.2f} … {high:.2f}), CPU {1e3 * seconds:.0f} ms an iteration")


def steps_of(name: str, device: str) -> Callable[[], float]:
    """Seconds of another step of a case on a device, each time it is called."""
    step = TrainingStep(name, device)
    return partial(step.take, *step.feed())


def in_turn(cpu: Callable[[], float], emulated: Callable[[], float], pairs: int) -> tuple[list[float], float]:
    """Ratios of each pair, and the CPU's median."""
    for _ in range(2):
        cpu(), emulated()
    timed = [(cpu(), emulated()) for _ in range(pairs)]
    return [theirs / ours for ours, theirs in timed], statistics.median(ours for ours, _ in timed)


if __name__ == "__main__":
    main()
