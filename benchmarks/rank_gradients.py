"""What listening to each rank's gradients costs, and what it sees: DistributedDataParallel over gloo, on the processor.

    python benchmarks/rank_gradients.py [--case ann_small] [--processes 2] [--steps 12]

Training steps of a case in several processes, listened to and not, in turn. Printed are the processor's time of both,
in rank 0, and what it comes to in a run of 30 iterations, of which the listened ones are those whose state is kept;
then the largest error of a healthy mean over what rounding explains; then, for a rank whose gradients are changed
before the all-reduce, the smallest change that is named, by steps of a factor of 10.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel
from training_step import TrainingStep

from harness.devices.surroundings import git_commit
from harness.recording.local_gradients import LocalGradients
from harness.recording.recorder import state_iterations
from harness.rules.rank_agreement import RankRow, judge_ranks
from harness.rules.rank_gradients import GradientMean, weigh_mean
from harness.running.pool import host_cores
from harness.running.worker import end_at_once

PLANNED = 30


class Distributed:
    """A case's training in one of several processes.

    Args:
        case: its name.
        rank: of the process.
    """

    def __init__(self, case: str, rank: int) -> None:
        self._step = TrainingStep(case, "cpu", seed=0)
        self._step.begin(0)
        images, labels = self._step.feed()
        generator = torch.Generator().manual_seed(rank)  # each rank has images of its own
        self._batch = images + 0.1 * torch.randn(images.shape, generator=generator), labels
        step = self._step
        without_sync(step.model)

        class Losses(torch.nn.Module):
            """What DDP calls: the sum of the case's losses."""

            def __init__(self) -> None:
                super().__init__()
                self.model = step.model

            def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                losses = self.model.losses(images, labels)
                return torch.stack([value for key, value in losses.items() if "loss" in key]).sum()

        self.ddp = DistributedDataParallel(Losses(), broadcast_buffers=False, find_unused_parameters=True)
        self.local = LocalGradients(self.ddp, self.ddp.module)
        self._optimizer = torch.optim.SGD(self.ddp.parameters(), lr=1e-3, momentum=0.9)

    def step(self, *, listens: bool) -> tuple[float, GradientMean | None]:
        """A training step: the processor's seconds, and what was heard."""
        started, mean = time.process_time(), None
        if listens:
            self.local.listen()
        self._optimizer.zero_grad()
        self.ddp(*self._batch).backward()
        if listens:
            everyone: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(everyone, self.local.taken())
            mean = weigh_mean(everyone, self.local.names)
        self._optimizer.step()
        return time.process_time() - started, mean


def without_sync(module: torch.nn.Module) -> None:
    """Put a usual batch norm in the place of each synchronized one, which the processor hasn't."""
    for name, inner in module.named_children():
        if isinstance(inner, torch.nn.SyncBatchNorm):
            usual = torch.nn.BatchNorm2d(inner.num_features, inner.eps, inner.momentum)
            usual.load_state_dict(inner.state_dict())
            setattr(module, name, usual.train(inner.training))
        without_sync(inner)


def work(rank: int, store: str, arguments: argparse.Namespace) -> None:
    """One of the processes."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=arguments.processes)
    training = Distributed(arguments.case, rank)
    training.step(listens=False)
    times: dict[bool, list[float]] = {True: [], False: []}
    excess = 0.0
    for number in range(2 * arguments.steps):
        listens = bool(number % 2)
        seconds, mean = training.step(listens=listens)
        times[listens].append(seconds)
        excess = max(excess, mean.excess if mean is not None else 0.0)
    changed = {"by": 0.0}

    def reduce(state: object, bucket: Any) -> Any:
        buffer = bucket.buffer()
        sent = buffer * (1 + changed["by"]) if dist.get_rank() == arguments.processes - 1 else buffer
        future = dist.all_reduce(sent / arguments.processes, async_op=True).get_future()
        return future.then(lambda done: done.value()[0])

    reduce.__annotations__ = {}
    training.ddp.register_comm_hook(None, reduce)
    named = []
    for power in range(1, 8):
        changed["by"] = 10.0**-power
        _, mean = training.step(listens=True)
        row = RankRow(0, (1.0,) * arguments.processes, tuple(map(str, range(arguments.processes))), mean=mean)
        if f"rank {arguments.processes - 1} arrive" in judge_ranks([row])[0].message:
            named.append(changed["by"])
    if rank == 0:
        without, with_it = (1000 * statistics.median(times[listens]) for listens in (False, True))
        heard, elements = len(state_iterations(PLANNED)), sum(p.numel() for p in training.ddp.parameters())
        share = heard * (with_it - without) / (PLANNED * without)
        print(f"{len(training.local.names)} parameters of {elements} elements, {arguments.processes} processes")
        print(f"a step: {without:.0f} ms of the processor, listened to {with_it:.0f} ms; in a run of {PLANNED}, "
              f"{heard} of them listened to: {100 * share:.1f} % more")  # fmt: skip
        print(f"healthy means: at most {excess:.3f} of what rounding explains")
        print(f"the smallest change of one rank's gradients that is named: {min(named, default=float('nan')):g}")
    dist.barrier()
    dist.destroy_process_group()
    end_at_once()


def main() -> None:
    """Start the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="ann_small")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    commit = git_commit(Path(__file__).parent, but_for="baselines")
    print(f"{platform.machine()}, {host_cores()} cores, torch {torch.__version__}, commit {commit}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(work, args=(f"{folder}/store", arguments), nprocs=arguments.processes)


if __name__ == "__main__":
    main()
