"""What the emulation costs: training iterations on the emulated device and on the CPU, in turn, in one process.

    python benchmarks/emulation_cost.py [--cases ann_small ocrnet_small] [--profiles exact tf32] [--pairs 20]

Prints the ratio of the times, emulated over CPU, pair by pair (median and quartiles).
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import pseudo_collate

from harness.devices.surroundings import git_commit, versions
from harness.emulation import install
from harness.running.cases import find_case, load_config
from models import build_model
from models.datasets import TicketSampler
from models.registry import DATASETS
from models.start import draw_start_weights


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
        cpu, emulated = (Training(name, device) for device in ("cpu", "sdaa"))
        for profile in arguments.profiles:
            install(profile)
            ratios, seconds = in_turn(cpu, emulated, arguments.pairs)
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(f"{name} {profile}: {middle:.2f} ({low:.2f} … {high:.2f}), CPU {1e3 * seconds:.0f} ms an iteration")


class Training:
    """A case's model, batch and optimizer on one device.

    Args:
        name: the case.
        device: ``cpu`` or ``sdaa``.
    """

    def __init__(self, name: str, device: str) -> None:
        case = find_case(name)
        config = load_config(case.config)
        self.model = build_model(config)
        draw_start_weights(self.model, 0, **case.start)
        self.model = self.model.to(device).train()
        data = DATASETS.build({**config.train_dataloader.dataset})
        positions = iter(TicketSampler(data, shuffle=True, seed=0))
        batch: Any = pseudo_collate([data[next(positions)] for _ in range(config.train_dataloader.batch_size)])
        prepared = self.model.data_preprocessor(batch, True)
        self.images, self.labels = prepared["inputs"], prepared["data_samples"]["gt_sem_seg"]
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)

    def step(self) -> float:
        """Seconds of one training iteration."""
        started = time.perf_counter()
        losses = self.model.losses(self.images, self.labels)
        self.optimizer.zero_grad()
        torch.stack([value for key, value in losses.items() if "loss" in key]).sum().backward()
        self.optimizer.step()
        return time.perf_counter() - started


def in_turn(cpu: Training, emulated: Training, pairs: int) -> tuple[list[float], float]:
    """Ratios of each pair, and the CPU's median."""
    for _ in range(2):
        cpu.step(), emulated.step()
    timed = [(cpu.step(), emulated.step()) for _ in range(pairs)]
    return [theirs / ours for ours, theirs in timed], statistics.median(ours for ours, _ in timed)


if __name__ == "__main__":
    main()
