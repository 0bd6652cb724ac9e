"""Loops as people write them, watched and shadowed: none is called, and what can't be seen is said."""

import copy
import importlib
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import harness
from harness.running.folder import shadow_files
from harness.running.watchdog import read_run
from harness.shadow.files.check_stream import read_shadow
from harness.shadow.judging.diagnosis.causes import diagnose
from harness.shadow.judging.shadow_verdict import judge_alone
from harness.values.errors import CaseError
from harness.values.verdict import Status


@pytest.fixture(autouse=True)
def nothing_was_compiled_before(monkeypatch):
    """The other tests' compiled functions are none of a program's."""
    counters = importlib.import_module("torch._dynamo.utils").counters
    counters.clear()
    for name in ("ALIGN_TIER", "ALIGN_REPEAT"):
        monkeypatch.delenv(name, raising=False)
    yield
    importlib.import_module("torch._dynamo").reset()
    counters.clear()


def judged(folder, model, optimizer, step, count=3):
    """The verdict of shadow ops alone on steps that are all shadowed, and the trace."""
    shadow = ",".join(map(str, range(count)))
    with harness.watch(model, optimizer, folder=folder, iterations=count, shadow=shadow) as watching:
        for number in range(count):
            batch = torch.randn(6, 4, generator=torch.Generator().manual_seed(number))
            with watching.step(batch):
                watching.log(loss=step(number, batch))
    run = read_run(folder)
    assert run.error is None, run.error
    return judge_alone("wild", run.trace, diagnose(read_shadow(shadow_files(folder)), "fp32")), run.trace


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def plain(model, optimizer):
    """A step as most loops have it."""

    def step(_, batch):
        optimizer.zero_grad()
        loss = model(batch).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_step_that_overflows_and_is_skipped_is_no_failure(tmp_path, by_itself):
    """As a loss scaler's first ones are, whose gradients stay where they are until the next step clears them."""
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)

    def step(number, batch):
        optimizer.zero_grad()
        loss = model(batch).square().mean()
        hurt = loss * (float("inf") if number == 1 else 1.0)
        if by_itself:
            hurt.backward()
            if all(parameter.grad.isfinite().all() for parameter in model.parameters()):
                optimizer.step()
        else:
            scaler.scale(hurt).backward()
            scaler.step(optimizer)
            scaler.update()
        return loss

    verdict, trace = judged(tmp_path, model, optimizer, step)
    assert verdict.status is Status.PASS, verdict.reason
    assert trace.signals["grad_norm"][1] == 0.0
    assert (trace.signals["grad_norm"][[0, 2]] > 0).all()


def test_a_loop_that_skips_all_it_gets_is_no_pass(tmp_path):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(number, batch):
        optimizer.zero_grad()
        loss = model(batch).square().mean()
        (loss * (float("nan") if number else 1.0)).backward()
        if all(parameter.grad.isfinite().all() for parameter in model.parameters()):
            optimizer.step()
        return loss

    verdict, trace = judged(tmp_path, model, optimizer, step)
    assert trace.signals["grad_norm"].tolist()[1:] == [0.0, 0.0]
    assert verdict.status is Status.INCONCLUSIVE
    assert "nothing was trained on in 2 of 3 iterations" in verdict.reason


def test_of_a_fused_step_the_gradients_are_those_that_it_divides_by_the_loss_scale(tmp_path):
    norms = {}
    for fused in (True, False):
        model = small()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)

        def step(number, batch, model=model, optimizer=optimizer, scaler=scaler):
            optimizer.zero_grad()
            loss = model(batch).square().mean()
            scaler.scale(loss * (float("inf") if number == 1 else 1.0)).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss

        verdict, trace = judged(tmp_path / str(fused), model, optimizer, step)
        assert verdict.status is not Status.FAIL, verdict.reason
        norms[fused] = trace.signals["grad_norm"].tolist()
    assert norms[True] == pytest.approx(norms[False], rel=1e-5)
    assert norms[True][1] == 0.0


def test_what_an_optimizer_is_given_is_told_whatever_it_is(tmp_path):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(number, batch):
        optimizer.zero_grad()
        loss = model(batch).square().mean()
        (loss * (float("inf") if number == 1 else 1.0)).backward()
        optimizer.step()
        return loss

    verdict, _ = judged(tmp_path, model, optimizer, step)
    assert verdict.status is Status.FAIL
    assert "grad_norm" in verdict.reason


def test_a_gradient_that_a_hook_takes_at_once_is_seen_as_it_came(tmp_path):
    model = small()
    optimizers = {parameter: torch.optim.SGD([parameter], lr=0.1) for parameter in model.parameters()}

    def update(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(update)

    def step(_, batch):
        loss = model(batch).square().mean()
        loss.backward()
        return loss

    verdict, trace = judged(tmp_path, model, list(optimizers.values()), step)
    assert verdict.status is Status.PASS, verdict.reason
    assert sum(row.op == "accumulate" for row in verdict.shadow.rows) == 4
    assert (trace.signals["grad_norm"] > 0).all()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # PyTorch's compiler asks for it
@pytest.mark.parametrize("of_what", ["the model", "the step", "the optimizer"])
def test_what_a_program_compiles_by_itself_is_no_pass(tmp_path, of_what):
    model = small()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    called = torch.compile(model, backend="aot_eager") if of_what == "the model" else model
    update = torch.compile(optimizer.step, backend="aot_eager") if of_what == "the optimizer" else optimizer.step

    def loss_of(batch):
        return called(batch).square().mean()

    compiled = torch.compile(loss_of, backend="aot_eager") if of_what == "the step" else loss_of

    def step(_, batch):
        optimizer.zero_grad()
        loss = compiled(batch)
        loss.backward()
        update()
        return loss

    verdict, _ = judged(tmp_path, model, optimizer, step, count=2)
    assert verdict.status is Status.INCONCLUSIVE, verdict.reason
    assert "torch.compile (this process compiled a function" in verdict.reason


@pytest.mark.parametrize("what", ["forward", "backward", "one backward of two", "backward behind a penalty"])
def test_what_runs_in_a_thread_of_the_programs_own_is_no_pass(tmp_path, what):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def in_a_thread(function):
        found = []
        thread = threading.Thread(target=lambda: found.append(function()))
        thread.start()
        thread.join()
        return found[0]

    def step(_, batch):
        optimizer.zero_grad()
        out = in_a_thread(lambda: model(batch)) if what == "forward" else model(batch)
        loss = out.square().mean()
        if what == "one backward of two":
            model(batch).sum().backward()
        if what == "backward behind a penalty":
            (of_batch,) = torch.autograd.grad(model(batch.requires_grad_()).sum(), batch, create_graph=True)
            loss = loss + of_batch.square().sum()
        loss.backward() if what == "forward" else in_a_thread(loss.backward)
        optimizer.step()
        return loss

    verdict, _ = judged(tmp_path, model, optimizer, step)
    assert verdict.status is Status.INCONCLUSIVE, verdict.reason
    assert f"{'modules' if what == 'forward' else 'the backward'} ran in" in verdict.reason


def test_a_backward_within_a_forward_is_the_steps_own(tmp_path):
    class Greedy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            loss = self.layer(x).square().mean()
            loss.backward()
            return loss.detach()

    torch.manual_seed(0)
    model = Greedy()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(_, batch):
        optimizer.zero_grad()
        loss = model(batch)
        optimizer.step()
        return loss

    verdict, _ = judged(tmp_path, model, optimizer, step)
    assert verdict.status is Status.PASS, verdict.reason


@pytest.mark.parametrize("begins", ["before", "within the step"])
def test_a_hook_may_come_within_the_step(tmp_path, begins):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def clip(parameter):
        parameter.grad.clamp_(-1e-3, 1e-3)

    def hook():
        return [parameter.register_post_accumulate_grad_hook(clip) for parameter in model.parameters()]

    trained = plain(model, optimizer)
    if begins == "before":
        hook()

    def step(number, batch):
        handles = hook() if begins == "within the step" else []
        loss = trained(number, batch)
        for handle in handles:
            handle.remove()
        return loss

    verdict, _ = judged(tmp_path, model, optimizer, step)
    assert verdict.status is Status.PASS, verdict.reason


def test_a_buffer_that_the_program_resizes_stays_resizable(tmp_path):
    """As quantization's observers do with theirs when the first batch has come."""

    class Observed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)
            self.register_buffer("least", torch.empty(0))

        def forward(self, x):
            out = self.layer(x)
            if not self.least.numel():
                self.least.resize_(3)
            self.least.copy_(out.detach().amin(0))
            return out

    torch.manual_seed(0)
    model = Observed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    verdict, _ = judged(tmp_path, model, optimizer, plain(model, optimizer))
    assert verdict.status is Status.PASS, verdict.reason


def test_models_that_cannot_be_watched_are_refused_with_a_sentence(tmp_path):
    def refuse(message, model):
        parameters = [p for each in (model.values() if isinstance(model, dict) else [model]) for p in each.parameters()]
        with pytest.raises(CaseError, match=message):
            harness.watch(model, torch.optim.SGD(parameters, lr=0.1), folder=tmp_path)

    within = nn.Sequential(nn.Linear(4, 3), torch.compile(nn.Linear(3, 2), backend="eager"))
    in_place = small()
    in_place[0].compile(backend="eager")
    refuse("a compiled model can't be watched", within)
    refuse("a compiled model can't be watched", in_place)
    refuse("a scripted model can't be watched", torch.jit.script(small()))
    for name in ("train", "net.g"):
        refuse("a module can't have this name", {name: small()})


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "NAdam"])
def test_a_step_that_is_counted_in_a_tensor_has_the_rounding_of_its_tensor(tmp_path, optimizer, monkeypatch):
    """1 − βᵗ is float32's then, which has few of its bits at the first steps; the host refuses capturable by itself."""
    for name in ("adam", "nadam"):
        module = importlib.import_module(f"torch.optim.{name}")
        monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda *_, **__: ["cpu"])
    model = small()
    taken = getattr(torch.optim, optimizer)(model.parameters(), lr=1e-3, capturable=True)

    def step(_, batch):
        taken.zero_grad()
        loss = F.mse_loss(model(batch), torch.ones(len(batch), 3))
        loss.backward()
        taken.step()
        return loss

    verdict, _ = judged(tmp_path, model, taken, step)
    assert verdict.status is Status.PASS, verdict.reason


@pytest.mark.parametrize("compiles", [False, True])
def test_a_model_may_be_copied_and_saved_within_a_step(tmp_path, compiles):
    """An average of weights is often made in the first step; its copy has none of the harness's hooks at work."""
    if compiles:
        importlib.import_module("torch._dynamo")
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    take = plain(model, optimizer)
    copies = []

    def step(number, batch):
        loss = take(number, batch)
        copies.append(copy.deepcopy(model))
        torch.save(model, tmp_path / f"{number}.pt")
        return loss

    verdict, _ = judged(tmp_path / "run", model, optimizer, step)
    assert verdict.status is Status.PASS, verdict.reason
    batch = torch.randn(6, 4)
    for number, copied in enumerate(copies):
        loaded = torch.load(tmp_path / f"{number}.pt", weights_only=False)
        assert torch.equal(copied(batch), loaded(batch))
        assert torch.equal(copied[0].weight, loaded[0].weight)
        torch.save(copied, tmp_path / "again.pt")
    assert torch.equal(copies[-1](batch), model(batch))
