"""A training that is watched in place: what it leaves, what it leaves alone, what is refused."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import harness
from harness.running.watchdog import read_run
from harness.training.watching import _name_of
from harness.values.errors import CaseError, RunError, TraceError, UsageError

SCRIPT = Path(__file__).parent / "own" / "script.py"


@pytest.fixture(autouse=True)
def nobody_asks_for_a_repeat(monkeypatch):
    for name in ("ALIGN_TIER", "ALIGN_REPEAT"):
        monkeypatch.delenv(name, raising=False)


def parts(**changes):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5), torch.nn.Linear(3, 2))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def train(model, optimizer, watching, batches, log=True):
    losses = []
    for batch in batches:
        with watching.step(batch):
            loss = model(batch).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if log:
                watching.log(loss=loss)
        losses.append(loss.item())
    return losses


def batches(count=3):
    return [torch.full((2, 4), float(number)) for number in range(1, count + 1)]


def test_a_run_is_left_and_what_follows_is_not_watched(tmp_path):
    model, optimizer = parts()
    with harness.watch(model, optimizer, folder=tmp_path / "run", iterations=3, case="mine") as watching:
        losses = train(model, optimizer, watching, batches(5))
        assert not watching.watching
    run = read_run(tmp_path / "run")
    assert run.error is None
    assert run.trace.complete
    assert run.trace.loss.tolist() == losses[:3]
    assert len(set(run.trace.batches)) == 3
    assert run.provenance.case == "mine"
    assert run.provenance.start == "the training's own"
    assert run.provenance.global_batch == 2
    assert run.provenance.settings["optimizers.0.lr"] == "0.1"
    assert not optimizer._optimizer_step_pre_hooks
    assert (tmp_path / "run" / "shadow.0.jsonl").is_file()


def test_fewer_steps_than_planned_are_a_run_that_was_cut_short(tmp_path):
    model, optimizer = parts()
    with harness.watch(model, optimizer, folder=tmp_path, iterations=4, shadow="none") as watching:
        train(model, optimizer, watching, batches(3))
    run = read_run(tmp_path)
    assert not run.trace.complete
    assert isinstance(run.error, RunError)


def test_two_watches_are_not_nested(tmp_path):
    model, optimizer = parts()
    with (
        harness.watch(model, optimizer, folder=tmp_path / "a"),
        pytest.raises(UsageError, match="two trainings are watched at once"),
        harness.watch(model, optimizer, folder=tmp_path / "b"),
    ):
        pass
    with harness.watch(model, optimizer, folder=tmp_path / "c", iterations=1) as watching:
        train(model, optimizer, watching, batches(1))


def test_a_step_within_a_step_and_one_that_is_not_closed(tmp_path):
    model, optimizer = parts()
    with harness.watch(model, optimizer, folder=tmp_path / "a") as watching:
        watching.open_step(batches()[0])
        with pytest.raises(UsageError, match="a step is open"):
            watching.open_step(batches()[1])
        watching.log(loss=1.0)
        watching.close_step()
        with pytest.raises(UsageError, match="no step is open"):
            watching.close_step()
    with (
        pytest.raises(UsageError, match="a step was not closed"),
        harness.watch(model, optimizer, folder=tmp_path / "b") as watching,
    ):
        watching.open_step(batches()[0])
    assert torch.rand(1).shape == (1,)


def test_a_step_before_the_watch_is_entered(tmp_path):
    watching = harness.watch(*parts(), folder=tmp_path)
    with pytest.raises(UsageError, match="not entered"):
        watching.open_step(batches()[0])


def test_log_outside_of_a_step(tmp_path):
    with (
        harness.watch(*parts(), folder=tmp_path) as watching,
        pytest.raises(UsageError, match="outside of a step"),
    ):
        watching.log(loss=1.0)


@pytest.mark.parametrize(
    ("logged", "message"),
    [
        ({}, "nothing is logged"),
        ({"accuracy": 0.5}, "no loss is logged"),
        ({"loss": torch.ones(2)}, "no scalar"),
        ({"loss": "low"}, "no scalar"),
    ],
)
def test_a_step_has_to_log_a_loss(tmp_path, logged, message):
    with harness.watch(*parts(), folder=tmp_path) as watching:
        with pytest.raises(TraceError, match=message), watching.step(batches()[0]):
            watching.log(logged)
        assert watching.iteration == 0


def test_a_batch_without_a_digest_is_refused_before_it_is_trained_on(tmp_path):
    entered = []
    with (
        harness.watch(*parts(), folder=tmp_path) as watching,
        pytest.raises(TraceError, match="has no digest") as refused,
        watching.step({"image": [torch.ones(1), object()]}),
    ):
        entered.append(1)
    assert refused.value.where == "batch/image/1"
    assert not entered


def test_a_step_that_ends_in_an_error_is_not_written_and_leaves_nothing_behind(tmp_path):
    model, optimizer = parts()
    before = torch.nn.functional.dropout
    with harness.watch(model, optimizer, folder=tmp_path) as watching:
        with pytest.raises(ZeroDivisionError), watching.step(batches()[0]):
            1 / 0  # noqa: B018
        assert torch.nn.functional.dropout is before
        assert watching.iteration == 0


def test_a_folder_that_holds_a_run_is_left_alone(tmp_path):
    model, optimizer = parts()
    with harness.watch(model, optimizer, folder=tmp_path, iterations=1) as watching:
        train(model, optimizer, watching, batches(1))
    with pytest.raises(RunError, match="holds a run already"), harness.watch(model, optimizer, folder=tmp_path):
        pass


def signals(folder, model, optimizers, step, count=3):
    """What is recorded of steps, by name."""
    with harness.watch(model, optimizers, folder=folder, iterations=count, shadow="none") as watching:
        for number, batch in enumerate(batches(count)):
            with watching.step(batch):
                watching.log(loss=step(number, batch))
    return read_run(folder).trace.signals


def test_a_gradient_norm_is_of_what_the_optimizer_trains(tmp_path):
    """Of a model that one optimizer trains in part, nobody clears the other part's gradients: they pile up."""
    model, _ = parts()
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    taken = []

    def step(_, batch):
        optimizer.zero_grad()
        loss = model(batch).square().mean()
        loss.backward()
        taken.append(torch.cat([p.grad.flatten() for p in model[2].parameters()]).norm().item())
        optimizer.step()
        return loss

    recorded = signals(tmp_path, model, [optimizer, optimizer], step)  # who gives it twice trains by it once
    assert recorded["grad_norm"] == pytest.approx(taken)


@pytest.mark.parametrize("fused", [False, True])
def test_an_update_is_what_changed_since_the_iteration_before(tmp_path, fused):
    """Also what a loop writes between its steps, whether PyTorch counts such writes or not."""
    model, _ = parts()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    states = [torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()]
    with harness.watch(model, optimizer, folder=tmp_path, iterations=3, shadow="none") as watching:
        for batch in batches(3):
            for parameter in model.parameters():
                if len(states) > 1:
                    parameter.data.clamp_(-0.05, 0.05)
            with watching.step(batch):
                optimizer.zero_grad()
                loss = model(batch).square().mean()
                loss.backward()
                optimizer.step()
                watching.log(loss=loss)
            states.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone())
    wanted = [(after - before).norm().item() for before, after in itertools.pairwise(states)]
    assert read_run(tmp_path).trace.signals["update_norm"] == pytest.approx(wanted, rel=1e-5)


def test_a_layer_that_is_trained_from_an_iteration_on_has_updates_from_there_on(tmp_path):
    model, _ = parts()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wanted = []
    with harness.watch(model, optimizer, folder=tmp_path, iterations=4, shadow="none") as watching:
        for number, batch in enumerate(batches(4)):
            model[0].requires_grad_(number >= 2)
            before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
            train(model, optimizer, watching, [batch])
            after = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
            wanted.append((after - before).norm().item())
    assert read_run(tmp_path).trace.signals["update_norm"] == pytest.approx(wanted, rel=1e-5)


def test_what_cannot_be_watched_is_refused_with_a_sentence(tmp_path):
    model, _ = parts()
    without_rate = torch.optim.SGD(model.parameters(), lr=0.1)
    without_rate.param_groups[0]["lr"] = None  # as an Adafactor that finds its own has it
    other = torch.nn.Linear(2, 2)
    lstm = torch.nn.LSTM(2, 2, num_layers=2, dropout=0.5)
    embedding = torch.nn.Embedding(3, 2, sparse=True)
    refused = {
        "none of the model's": (model, torch.optim.SGD(other.parameters(), lr=0.1)),
        "LBFGS can't be watched": (model, torch.optim.LBFGS(model.parameters())),
        "no optimizer": (model, []),
        "parameters without a learning rate": (model, without_rate),
        "none of torch's": (model, "SGD"),
        "the model is no module": ("model", torch.optim.SGD(other.parameters(), lr=0.1)),
        "draws random numbers inside its kernel": (lstm, torch.optim.SGD(lstm.parameters(), lr=0.1)),
        "a sparse gradient can't be watched": (embedding, torch.optim.SGD(embedding.parameters(), lr=0.1)),
        "a compiled model can't be watched": (torch.compile(other), torch.optim.SGD(other.parameters(), lr=0.1)),
    }
    for message, given in refused.items():
        with pytest.raises(CaseError, match=message):
            harness.watch(*given, folder=tmp_path)


def test_two_runs_draw_alike_and_a_repeat_varies_its_rounding(tmp_path, monkeypatch):
    def run(folder):
        model, optimizer = parts()
        torch.manual_seed(int(folder == "b"))  # what was drawn before doesn't matter
        with harness.watch(model, optimizer, folder=tmp_path / folder, iterations=3, shadow="none") as watching:
            train(model, optimizer, watching, batches())
            return read_run(watching.folder).trace

    one, other = run("a"), run("b")
    assert one.loss.tolist() == other.loss.tolist()
    assert one.signals["host_draws"].tolist() == other.signals["host_draws"].tolist()
    monkeypatch.setenv("ALIGN_TIER", "tf32")
    monkeypatch.setenv("ALIGN_REPEAT", "2")
    repeat = run("a")
    assert (tmp_path / "a" / "tf32-2" / "trace.jsonl").is_file()
    assert repeat.loss.tolist() != one.loss.tolist()
    assert repeat.loss.tolist() == pytest.approx(one.loss.tolist(), rel=0.02)
    monkeypatch.setenv("ALIGN_TIER", "fp8")
    with pytest.raises(UsageError, match="no repeat"):
        run("c")


def run_words(*words, cwd, rc=0, **environment):
    told = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    assert told.returncode == rc, told.stdout + told.stderr
    return told.stdout + told.stderr


@pytest.mark.slow
@pytest.mark.emulated
def test_a_script_is_recorded_and_judged_by_the_commands(tmp_path):
    align = (sys.executable, "-m", "harness.cli")
    for repeat in range(5):
        asked = {"ALIGN_TIER": "fp32", "ALIGN_REPEAT": str(repeat)}
        run_words(sys.executable, SCRIPT, "runs/cpu", "cpu", cwd=tmp_path, **asked)
    repeats = sorted((tmp_path / "runs/cpu").iterdir())
    told = run_words(*align, "record", "other", "--from", *repeats, cwd=tmp_path, rc=2)
    assert "one of another case" in told
    run_words(*align, "record", "script", "--from", *repeats, cwd=tmp_path)
    run_words(sys.executable, SCRIPT, "runs/healthy", "emulated", cwd=tmp_path)
    told = run_words(*align, "judge", "runs/healthy", cwd=tmp_path)
    assert "PASS script" in told
    assert "100 % of the calls checked" in told
    run_words(sys.executable, SCRIPT, "runs/faulty", "emulated", "conv-wgrad-x1.01", cwd=tmp_path)
    told = run_words(*align, "judge", "runs/faulty", "--baseline", "baselines/script/cpu", cwd=tmp_path, rc=1)
    assert "FAIL script: shadow: 0, convolution_backward, weight gradient: 1 % too large" in told
    told = run_words(*align, "record", "--from", "runs/healthy", cwd=tmp_path, rc=2)
    assert "an emulated device is no reference" in told
    told = run_words(*align, "judge", "runs", cwd=tmp_path, rc=2)
    assert "the folder holds no run" in told


@pytest.mark.parametrize(
    ("script", "name"), [("mine/train.py", "train"), ("mine/__main__.py", "mine"), ("/usr/bin/torchrun", "watched")]
)
def test_a_run_is_called_as_its_script_or_package(script, name):
    assert _name_of(Path(script)) == name
