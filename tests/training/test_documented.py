"""The examples of docs/own-loop.md run as they stand there."""

import re
from pathlib import Path

import pytest
import torch

import harness
from harness.running.cases import find_case
from harness.running.order import Order
from harness.running.own_experiment import run_own_case
from harness.running.watchdog import read_run
from harness.values.provenance import Device

PAGE = Path(__file__).parents[2] / "docs" / "own-loop.md"


def examples():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_case_of_the_page_trains(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(examples()[0])
    case = find_case(str(path))
    assert (case.name, case.iterations, case.repeats, case.tiers) == ("mine", 12, 5, ("fp32",))
    (tmp_path / "run").mkdir()
    order = Order(config=case.address, device="cpu", iterations=3, shadow=(0, 1))
    run_own_case(order, case, Device("cpu", "a processor"), (), tmp_path / "run")
    (tmp_path / "run" / "output.log").touch()
    run = read_run(tmp_path / "run")
    assert run.error is None
    assert run.trace.complete
    assert run.trace.loss[0] == pytest.approx(2.3, abs=0.7)
    assert run.provenance.versions["case file"]


def test_the_loop_of_the_page_is_watched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ALIGN_TIER", "ALIGN_REPEAT"):
        monkeypatch.delenv(name, raising=False)
    model = torch.nn.Linear(3, 2)
    given = {
        "harness": harness,
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "loader": [torch.ones(2, 3)] * 31,
        "loss_of": lambda model, batch: model(batch).square().mean(),
    }
    exec(examples()[1], given)  # noqa: S102  # our own page
    run = read_run(tmp_path / "runs" / "sdaa")
    assert run.trace.complete
    assert len(run.trace) == 30


def test_the_names_of_the_hooks_are_there():
    text = "\n".join(examples()[2:])
    for module in re.findall(r"harness\.training\.hooks\.\w+", text):
        path = Path(harness.__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
        assert path.is_file(), module
    assert "class WatchCallback" in (Path(harness.__file__).parent / "training/hooks/lightning_callback.py").read_text()
    assert "class AlignmentHook" in (Path(harness.__file__).parent / "training/hooks/mmengine_hook.py").read_text()
