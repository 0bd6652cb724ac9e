"""Three processes over gloo: what is heard before the all-reduce, and that nothing changes by listening."""

import json
import subprocess
import sys

import pytest

from harness.rules.rank_agreement import RankRow, judge_ranks
from harness.rules.rank_gradients import GradientMean

pytestmark = pytest.mark.slow

SCRIPT = """
import dataclasses, json, sys
import numpy as np
import torch, torch.distributed as dist, torch.multiprocessing as mp
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel
from harness.recording.local_gradients import LocalGradients
from harness.rules.rank_gradients import weigh_mean
from harness.running.worker import end_at_once

RANKS = 3

def make(rank, **settings):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Flatten(),
                              torch.nn.Linear(8 * 36, 5))
    return DistributedDataParallel(net, **settings)

def train(ddp, rank, local=None, passes=1, steps=4):
    optimizer = torch.optim.SGD(ddp.parameters(), 0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(rank)
    heard = []
    for _ in range(steps):
        optimizer.zero_grad()
        if local is not None:
            local.listen()
        for number in range(passes):
            x = torch.randn(4, 3, 8, 8, generator=generator)
            ddp.require_backward_grad_sync = number == passes - 1
            ddp(x).square().mean().backward()
        if local is not None:
            everyone = [None] * RANKS
            dist.all_gather_object(everyone, local.taken())
            heard.append(weigh_mean(everyone, local.names))
            norms = [each.norm for each in everyone]
        optimizer.step()
    bits = [parameter.detach().numpy().tobytes().hex() for parameter in ddp.parameters()]
    return bits, [None if each is None else dataclasses.asdict(each) for each in heard]

def scaled(rank):
    def hook(state, bucket):
        buffer = bucket.buffer() * (1.05 if rank == 1 else 1.0)
        return dist.all_reduce(buffer / RANKS, async_op=True).get_future().then(lambda done: done.value()[0])
    return hook

def work(rank, store, out):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=RANKS)
    told = {}
    for name, settings in {"usual": {}, "views": {"gradient_as_bucket_view": True},
                           "buckets": {"bucket_cap_mb": 0.001}}.items():
        plain, _ = train(make(rank, **settings), rank)
        ddp = make(rank, **settings)
        watched, heard = train(ddp, rank, LocalGradients(ddp, ddp.module))
        told[name] = {"same": plain == watched, "heard": heard}
    ddp = make(rank)
    told["accumulated"] = {"heard": train(ddp, rank, LocalGradients(ddp, ddp.module), passes=2)[1]}
    ddp = make(rank)
    ddp.register_comm_hook(None, scaled(rank))
    told["scaled"] = {"heard": train(ddp, rank, LocalGradients(ddp, ddp.module))[1]}
    ddp = make(rank)
    ddp.register_comm_hook(None, default_hooks.fp16_compress_hook)
    told["compressed"] = {"heard": train(ddp, rank, LocalGradients(ddp, ddp.module))[1]}
    ddp = make(rank)
    local = LocalGradients(ddp, ddp.module)
    local.end()
    local.listen()
    ddp(torch.randn(4, 3, 8, 8)).mean().backward()
    told["ended"] = local.taken().norm
    if rank == 0:
        json.dump(told, open(out, "w"))
    dist.barrier()
    dist.destroy_process_group()
    end_at_once()

if __name__ == "__main__":
    mp.spawn(work, args=(sys.argv[1] + "/store", sys.argv[1] + "/told.json"), nprocs=RANKS)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-W", "ignore", str(folder / "script.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "told.json").read_text())


def means(heard):
    return [GradientMean(**{**each, "odd": tuple(each["odd"]), "factors": tuple(each["factors"])}) for each in heard]


@pytest.mark.parametrize("settings", ["usual", "views", "buckets"])
def test_listening_changes_no_bit_and_what_comes_back_is_the_mean(told, settings):
    assert told[settings]["same"]
    heard = means(told[settings]["heard"])
    assert len(heard) == 4
    assert all(mean.excess <= 1 and mean.odd == () for mean in heard)
    assert any(mean.excess > 0 for mean in heard), "means to the last bit: nothing was compared"


def test_gradients_of_several_passes_are_compared_as_they_were_reduced(told):
    assert all(mean.excess <= 1 for mean in means(told["accumulated"]["heard"]))


def test_a_rank_whose_gradients_are_changed_before_the_all_reduce_is_named(told):
    for iteration, mean in enumerate(means(told["scaled"]["heard"])):
        row = RankRow(iteration, (1.0,) * 3, tuple("abc"), mean=mean)
        (finding,) = judge_ranks([row])
        assert finding.message.startswith("the gradients of rank 1 arrive 1.05 times in the mean")


def test_what_is_compressed_on_purpose_is_no_mean_to_the_bit(told):
    assert told["compressed"]["heard"] == [None] * 4


def test_who_has_let_go_hears_nothing(told):
    assert told["ended"] == 0
