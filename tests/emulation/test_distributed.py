"""Two processes over `tccl`, held against one process."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, sys
import torch, torch.distributed as dist, torch.multiprocessing as mp
from torch.nn import functional
from harness.running.worker import end_at_once

from tests.emulation.small_net import SmallNet, batches

def train(net, device, rank=None):
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    for x, labels in batches(5, batch=4):
        labels = labels.clamp(max=4)
        if rank is not None:
            x, labels = x[2 * rank : 2 * rank + 2], labels[2 * rank : 2 * rank + 2]
        loss = functional.cross_entropy(net(x.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net

def work(rank, store, out):
    torch.set_num_threads(1)
    from harness.lab.emulation import install
    install("exact")
    torch.sdaa.set_device(rank)
    dist.init_process_group("cpu:gloo,sdaa:tccl", init_method="file://" + store, rank=rank, world_size=2)
    host = torch.ones(1)
    dist.all_reduce(host)
    assert host.item() == 2
    collectives(rank)
    torch.manual_seed(0)
    net = torch.nn.SyncBatchNorm.convert_sync_batchnorm(SmallNet().to("sdaa"))
    net = train(torch.nn.parallel.DistributedDataParallel(net, device_ids=[rank]), "sdaa", rank).module
    torch.save({k: v.cpu() for k, v in net.state_dict().items()}, f"{out}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
    end_at_once()

def collectives(rank):
    here = torch.full((3,), float(rank + 1), device="sdaa")
    total = here.clone()
    dist.all_reduce(total)
    assert total.tolist() == [3, 3, 3] and total.device.type == "sdaa"
    gathered = [torch.empty_like(here) for _ in range(2)]
    dist.all_gather(gathered, here)
    assert [g[0].item() for g in gathered] == [1, 2]
    joined = torch.empty(6, device="sdaa")
    dist.all_gather_into_tensor(joined, here)
    assert joined.tolist() == [1, 1, 1, 2, 2, 2]
    part = torch.empty(3, device="sdaa")
    dist.reduce_scatter_tensor(part, joined)
    assert part.tolist() == [[2, 2, 2], [4, 4, 4]][rank]
    dist.broadcast(here, 1)
    assert here.tolist() == [2, 2, 2]
    objects = [None, None]
    dist.all_gather_object(objects, {"rank": rank})
    assert objects == [{"rank": 0}, {"rank": 1}]

if __name__ == "__main__":
    out = sys.argv[1]
    mp.spawn(work, args=(out + "/store", out), nprocs=2)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    whole = train(SmallNet(), "cpu").state_dict()
    ranks = [torch.load(f"{out}/{rank}.pt") for rank in (0, 1)]
    assert all(torch.equal(ranks[0][k], ranks[1][k]) for k in whole)
    print(max(((ranks[0][k].double() - v.double()).abs().max() / v.double().abs().max().clamp(min=1)).item()
              for k, v in whole.items()))
"""


def test_two_processes_with_syncbn_equal_one_with_the_whole_batch(python, tmp_path) -> None:
    done = python(SCRIPT, str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    assert float(done.stdout.splitlines()[-1]) < 1e-6
