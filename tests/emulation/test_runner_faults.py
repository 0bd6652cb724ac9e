"""Each fault that acts through mmengine's Runner, at the step, the rate, the batch or the loss that it changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.emulation import FAULTS, Fault, parse_fault
from harness.values.errors import DeviceError

RATE, MOMENTUM, DECAY = 0.1, 0.9, 0.01
Check = Callable[[str], None]


class FakeRunner:
    """What faults touch of a Runner: hooks, iteration, model, optimizer."""

    def __init__(self, model: torch.nn.Module | None = None, iterations: int = 1) -> None:
        self.iter = 0
        self.hooks: list[Any] = []
        self.model = model or Layers()
        self.optimizer = torch.optim.SGD(self.model.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
        self.optim_wrapper = SimpleNamespace(optimizer=self.optimizer, param_groups=self.optimizer.param_groups)
        for group in self.optimizer.param_groups:
            group["initial_lr"] = RATE

    def register_hook(self, hook: Any, priority: str) -> None:
        self.hooks.append(hook)

    def start(self, fault: Fault | None) -> FakeRunner:
        if fault is not None:
            fault.attach(self)
        for hook in self.hooks:
            hook.before_train(self)
        return self


class Layers(torch.nn.Module):
    """Three matrices and a vector, all ones."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterList([torch.ones(2, 2) for _ in range(3)] + [torch.ones(2)])


def train(fault: Fault | None, iterations: int = 3, gradient: float = 1 / 3) -> list[list[torch.Tensor]]:
    """The parameters after each iteration; gradients are `gradient`, twice it, three times it …"""
    runner = FakeRunner().start(fault)
    trace = []
    for iteration in range(iterations):
        runner.iter = iteration
        for parameter in runner.model.parameters():
            parameter.grad = torch.full_like(parameter, gradient * (iteration + 1))
        settings = [dict(group, params=None) for group in runner.optimizer.param_groups]
        runner.optimizer.step()
        assert [dict(group, params=None) for group in runner.optimizer.param_groups] == settings
        trace.append([p.detach().clone() for p in runner.model.parameters()])
    return trace


def reference(rate: float = RATE, momentum: float = MOMENTUM, decay: float = DECAY, **settings: Any):
    """One parameter's trace, and the same for all, under other settings of the optimizer."""
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], rate, momentum, weight_decay=decay, **settings)
    trace = []
    for iteration in range(3):
        parameter.grad = torch.full_like(parameter, (iteration + 1) / 3)
        optimizer.step()
        trace.append(parameter.item())
    return trace


def trains_as(**settings: Any) -> Check:
    def check(name: str) -> None:
        for parameters, wanted in zip(train(FAULTS[name]), reference(**settings), strict=True):
            assert all(torch.allclose(p, torch.full_like(p, wanted), rtol=1e-6) for p in parameters)
        assert reference(**settings) != reference()

    return check


def one_layer(name: str, change: Callable[[], list[float]]) -> None:
    healthy = train(None)
    for parameters, plain, wanted in zip(train(FAULTS[name]), healthy, change(), strict=True):
        for index, (parameter, value) in enumerate(zip(parameters, plain, strict=True)):
            expected = torch.full_like(value, wanted) if index == 1 else value
            assert torch.allclose(parameter, expected, rtol=1e-6), index


def skips_decay(name: str) -> None:
    one_layer(name, lambda: reference(decay=0))


def never_updates(name: str) -> None:
    one_layer(name, lambda: [1.0] * 3)


def bias_steps_twice(name: str) -> None:
    healthy, faulty = train(None, 1), train(FAULTS[name], 1)
    assert all(torch.equal(a, b) for a, b in zip(faulty[0][:3], healthy[0][:3], strict=True))
    assert torch.allclose(faulty[0][3], 1 - RATE * (2 / 3 + DECAY) * torch.ones(2))


def decouples_decay(name: str) -> None:
    decay_free = reference(decay=0)
    first = train(FAULTS[name])[0][0]
    assert torch.allclose(first, torch.full_like(first, decay_free[0] - RATE * DECAY), rtol=1e-6)
    second = train(FAULTS[name])[1][0]
    step = RATE * (MOMENTUM / 3 + 2 / 3)
    assert torch.allclose(second, first * (1 - RATE * DECAY) - step, rtol=1e-6)


def accumulates(name: str) -> None:
    faulty, kept = train(FAULTS[name]), 0.0
    parameter, momentum = 1.0, None
    for iteration, parameters in enumerate(faulty):
        kept = (iteration + 1) / 3 + 0.1 * kept
        gradient = kept + DECAY * parameter
        momentum = gradient if momentum is None else MOMENTUM * momentum + gradient
        parameter -= RATE * momentum
        assert torch.allclose(parameters[0], torch.full((2, 2), parameter), rtol=1e-6)


def clips(name: str) -> None:
    norm = math.sqrt(14) / 3
    first = train(FAULTS[name], 1)[0][0]
    assert torch.allclose(first, torch.full((2, 2), 1 - RATE * (1 / 3 / norm + DECAY)), rtol=1e-5)
    small = [train(fault, 1, gradient=0.01)[0][0] for fault in (FAULTS[name], None)]
    assert torch.equal(*small)


def skips_steps(name: str) -> None:
    trace = train(parse_fault(f"{name}:2"))
    healthy = train(None)
    assert torch.equal(trace[0][0], healthy[0][0])
    assert torch.equal(trace[1][0], trace[0][0])
    assert not torch.equal(trace[2][0], trace[1][0])


def shrinks(name: str) -> None:
    for parameter, plain in zip(train(FAULTS[name], 1)[0], train(None, 1)[0], strict=True):
        assert torch.equal(parameter, plain * (1 - 1e-4))


def rounds_weights(name: str) -> None:
    for parameter, plain in zip(train(FAULTS[name], 1)[0], train(None, 1)[0], strict=True):
        assert torch.equal(parameter, plain.bfloat16().float())
        assert not torch.equal(parameter, plain)


def rounds_momentum(name: str) -> None:
    faulty, healthy = train(FAULTS[name], 2), train(None, 2)
    assert torch.equal(faulty[0][0], healthy[0][0])
    buffer = (torch.tensor(1 / 3) + DECAY).bfloat16().float()
    wanted = healthy[0][0] - RATE * (MOMENTUM * buffer + 2 / 3 + DECAY * healthy[0][0])
    assert torch.allclose(faulty[1][0], wanted, rtol=1e-7)
    assert not torch.equal(faulty[1][0], healthy[1][0])


def fixes_scale(name: str) -> None:
    runner = FakeRunner()
    runner.optim_wrapper.loss_scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1)
    runner.start(FAULTS[name])
    scaler = runner.optim_wrapper.loss_scaler
    parameter = next(runner.model.parameters())
    scaler.scale(parameter.sum()).backward()
    assert torch.equal(parameter.grad, torch.ones(2, 2))
    scaler.step(runner.optimizer)
    scaler.update()
    assert scaler.get_scale() == 1.0


def rates(name: str, count: int = 12) -> list[tuple[float, float]]:
    """The rate that each iteration trains at, and the scheduled one."""
    runner = FakeRunner().start(FAULTS[name])
    (group,) = runner.optimizer.param_groups
    trace = []
    for iteration in range(count):
        scheduled = group["lr"] = RATE * (1 - iteration / 20) ** 0.9
        runner.iter = iteration
        for hook in runner.hooks:
            hook.before_train_iter(runner, iteration)
        used = group["lr"]
        for hook in runner.hooks:
            hook.after_train_iter(runner, iteration)
        assert group["lr"] == scheduled
        trace.append((used, scheduled))
    return trace


def rated(rule: Callable[[int], float]) -> Check:
    """`rule` says by which factor of the first rate each iteration trains."""

    def check(name: str) -> None:
        for iteration, (used, _) in enumerate(rates(name)):
            assert used == pytest.approx(RATE * rule(iteration), rel=1e-12)

    return check


def poly(iteration: int) -> float:
    return (1 - iteration / 20) ** 0.9


class Preprocessor(torch.nn.Module):
    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        return data


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.data_preprocessor = Preprocessor()

    def parse_losses(self, losses: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        total = sum(value for name, value in losses.items() if "loss" in name)
        return total, {**losses, "loss": total}


def batch(number: int) -> dict[str, Any]:
    inputs = torch.arange(2 * 3 * 10 * 2.0).view(2, 3, 10, 2) / 7 + number
    return {"inputs": inputs, "data_samples": {"gt_sem_seg": torch.arange(2)[:, None] + 10 * number}}


def fed(fault: Fault, count: int) -> list[dict[str, Any]]:
    runner = FakeRunner(Model()).start(fault)
    preprocessor = runner.model.data_preprocessor
    assert preprocessor(batch(0), False)["inputs"].equal(batch(0)["inputs"])
    return [preprocessor(batch(number), True) for number in range(count)]


def feeds(change: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]) -> Check:
    def check(name: str) -> None:
        (given,) = fed(FAULTS[name], 1)
        inputs, labels = change(batch(0)["inputs"], batch(0)["data_samples"]["gt_sem_seg"])
        assert torch.equal(given["inputs"], inputs)
        assert torch.equal(given["data_samples"]["gt_sem_seg"], labels)

    return check


def feeds_stale_rows(name: str) -> None:
    first, second = fed(FAULTS[name], 2)
    assert torch.equal(first["inputs"], batch(0)["inputs"])
    assert torch.equal(second["inputs"][:, :, :2], batch(1)["inputs"][:, :, :2])
    assert torch.equal(second["inputs"][:, :, 2:], batch(0)["inputs"][:, :, 2:])


def repeats_a_batch(name: str) -> None:
    given = fed(parse_fault(f"{name}:2"), 4)
    assert [int(b["data_samples"]["gt_sem_seg"][0]) for b in given] == [0, 0, 20, 20]


def shifts_the_loader(name: str) -> None:
    runner = FakeRunner()
    runner.train_loop = SimpleNamespace(dataloader_iterator=iter([0, 1, 2]))
    runner.start(FAULTS[name])
    assert next(runner.train_loop.dataloader_iterator) == 1


def weighs_aux(factor: float) -> Check:
    def check(name: str) -> None:
        losses = {
            "decode.loss_ce": torch.tensor(2.0),
            "aux.loss_ce": torch.tensor(0.5),
            "aux.acc_seg": torch.tensor(9.0),
        }
        model = FakeRunner(Model()).start(FAULTS[name]).model
        total, logged = model.parse_losses(losses)
        assert total == 2 + 0.5 * factor
        assert logged == {**losses, "loss": total}

    return check


def refuses_one_process(name: str) -> None:
    with pytest.raises(DeviceError, match="--nproc-per-node 2"):
        FakeRunner().start(FAULTS[name])


CHECKS: dict[str, Check] = {
    "weight-decay-ignored": trains_as(decay=0),
    "weight-decay-doubled": trains_as(decay=2 * DECAY),
    "weight-decay-skips-a-layer": skips_decay,
    "weight-decay-decoupled": decouples_decay,
    "momentum-0.85": trains_as(momentum=0.85),
    "momentum-zero": trains_as(momentum=0),
    "momentum-dampened": trains_as(dampening=0.1),
    "momentum-buffer-bf16": rounds_momentum,
    "nesterov-flipped": trains_as(nesterov=True),
    "lr-x1.01": trains_as(rate=RATE * 1.01),
    "bias-gradients-doubled": bias_steps_twice,
    "layer-never-updated": never_updates,
    "gradients-accumulate-10pct": accumulates,
    "gradients-clipped": clips,
    "steps-skipped": skips_steps,
    "weights-shrink-1e-4": shrinks,
    "weights-in-bf16": rounds_weights,
    "fp16-without-loss-scale": fixes_scale,
    "schedule-off-by-one": rated(lambda iteration: poly(max(0, iteration - 1))),
    "schedule-constant": rated(lambda iteration: 1.0),
    "schedule-power-x1.1": rated(lambda iteration: (1 - iteration / 20) ** 0.99),
    "schedule-warmed-up": rated(lambda iteration: poly(iteration) * min(1.0, (iteration + 1) / 10)),
    "schedule-stepped": rated(lambda iteration: poly(iteration // 10 * 10)),
    "last-sample-dropped": feeds(lambda x, labels: (x[:1], labels[:1])),
    "labels-of-another-sample": feeds(lambda x, labels: (x, labels.flip(0))),
    "channels-swapped": feeds(lambda x, labels: (x[:, [2, 1, 0]], labels)),
    "image-quantized": feeds(lambda x, labels: ((x * 64).round() / 64, labels)),
    "image-tail-stale": feeds_stale_rows,
    "batch-repeated": repeats_a_batch,
    "data-order-shifted": shifts_the_loader,
    "aux-loss-lost": weighs_aux(0.0),
    "aux-loss-doubled": weighs_aux(2.0),
    "allreduce-not-averaged": refuses_one_process,
    "allreduce-rank-lost": refuses_one_process,
    "allreduce-in-bf16": refuses_one_process,
    "allreduce-skipped": refuses_one_process,
}


def test_every_fault_of_the_runner_has_a_check() -> None:
    assert set(CHECKS) == {name for name, fault in FAULTS.items() if not fault.in_kernels}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_fault_changes_what_it_says(name: str) -> None:
    CHECKS[name](name)


def test_a_fault_of_the_runner_waits_for_its_iteration() -> None:
    healthy, faulty = train(None), train(parse_fault("lr-x1.01@2"))
    assert all(torch.equal(a, b) for a, b in zip(faulty[1], healthy[1], strict=True))
    assert not torch.equal(faulty[2][0], healthy[2][0])


def test_a_fault_in_kernels_leaves_the_runner_alone() -> None:
    runner = FakeRunner().start(FAULTS["conv-wgrad-x1.05"])
    assert runner.hooks == []


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

class Runner(SimpleNamespace):
    def register_hook(self, hook, priority):
        hook.before_train(self)

def work(rank, store):
    torch.set_num_threads(1)
    from harness.emulation import FAULTS
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

if __name__ == "__main__":
    mp.spawn(work, args=(sys.argv[1] + "/store",), nprocs=2)
"""


@pytest.mark.slow
def test_faults_between_two_processes(python, tmp_path) -> None:
    done = python(SCRIPT, str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
