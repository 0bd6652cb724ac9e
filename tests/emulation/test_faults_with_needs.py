"""Faults that need a loss scale or several processes: refused without, and what they do between two."""

from __future__ import annotations

import pytest
import torch

from harness.lab.faults import FAULTS
from harness.values.errors import DeviceError
from tests.emulation.runner_faults.stand_in import FakeRunner


def needing(need: str) -> list[str]:
    return sorted(name for name, fault in FAULTS.items() if fault.needs == need)


@pytest.mark.parametrize("name", needing("loss scale"))
def test_a_fault_in_loss_scaling_is_refused_without_a_loss_scale(name: str) -> None:
    with pytest.raises(DeviceError, match="--amp"):
        FakeRunner().start(FAULTS[name])
    runner = FakeRunner()
    runner.optim_wrapper.loss_scaler = torch.amp.GradScaler("cpu", enabled=False)
    with pytest.raises(DeviceError, match="--amp"):
        runner.start(FAULTS[name])
    runner.hooks.clear()
    runner.optim_wrapper.loss_scaler = torch.amp.GradScaler("cpu")
    runner.start(FAULTS[name])


@pytest.mark.parametrize("name", needing("processes"))
def test_a_fault_between_processes_is_refused_with_one(name: str) -> None:
    with pytest.raises(DeviceError, match="--nproc-per-node 2"):
        FakeRunner().start(FAULTS[name])


@pytest.mark.parametrize(("processes", "hint"), [(1, "--nproc-per-node 2"), (2, "norm_cfg.type=SyncBN")])
def test_a_fault_in_syncbn_is_refused_where_no_statistics_are_shared(monkeypatch, processes: int, hint: str) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: processes > 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: processes)
    with pytest.raises(DeviceError, match=hint):
        FakeRunner(torch.nn.Sequential(torch.nn.BatchNorm2d(2))).start(FAULTS["syncbn-local"])
    shared = FakeRunner(torch.nn.Sequential(torch.nn.SyncBatchNorm(2)))
    if processes > 1:
        shared.start(FAULTS["syncbn-local"])


def test_what_needs_something_says_so() -> None:
    strikes = {name: fault.strikes for name, fault in FAULTS.items() if fault.needs}
    assert set(strikes.values()) == {"loss scaling", "distributed"}
    assert {name for name, fault in FAULTS.items() if fault.strikes in strikes.values()} == set(strikes)


SCRIPT = """
import sys
import torch, torch.distributed as dist, torch.multiprocessing as mp
from types import SimpleNamespace
from harness.running.worker import end_at_once

class Runner(SimpleNamespace):
    def register_hook(self, hook, priority):
        hook.before_train(self)

def work(rank, store):
    torch.set_num_threads(1)
    from harness.lab.faults import FAULTS
    dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
    wanted = {
        "allreduce-not-averaged": (1 + 1 / 3 + 2, 1 + 1 / 3 + 2),
        "allreduce-rank-lost": ((1 + 1 / 3) / 2,) * 2,
        "allreduce-in-bf16": ((float(torch.tensor(1 + 1 / 3).bfloat16()) + 2) / 2,) * 2,
        "allreduce-skipped": (1 + 1 / 3, 2.0),
    }
    for name, gradients in wanted.items():
        model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1, bias=False))
        FAULTS[name].attach(Runner(model=model, iter=0))
        model(torch.tensor([[1 + 1 / 3 if rank == 0 else 2.0]])).sum().backward()
        gradient = model.module.weight.grad.item()
        assert abs(gradient - gradients[rank]) < 1e-6, (name, rank, gradient, gradients)
    dist.barrier()
    dist.destroy_process_group()
    end_at_once()

if __name__ == "__main__":
    mp.spawn(work, args=(sys.argv[1] + "/store",), nprocs=2)
"""


@pytest.mark.slow
def test_faults_between_two_processes(python, tmp_path) -> None:
    done = python(SCRIPT, str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
