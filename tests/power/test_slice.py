"""A slice of the power study on a case of the project's own: faults are seen, healthy ports are not called.

The whole study takes hours; `docs/power-tables.md` has its result.
"""

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.lab.power.finished_run import Ending, find_record
from harness.lab.power.study_run import Experiment, Kind
from harness.lab.power.study_worker import Request
from harness.lab.power.workers import run_requests
from harness.running.cases import find_case
from harness.running.order import Order
from harness.running.watchdog import execute

pytestmark = [pytest.mark.slow, pytest.mark.emulated]

BASELINES = Path(__file__).parents[2] / "baselines"
CONFIG = str(find_case("ann_small").config)
COSTS = {"seconds", "memory"}


def experiment(kind, name, iterations=2, **changes):
    return Experiment("ann_small", CONFIG, kind, name, profile="tf32", iterations=iterations, **changes)


def run_in_one_process(folder, experiments):
    """Each in a folder of its own, one after the other in one worker."""
    tasks = []
    for number, each in enumerate(experiments):
        tasks.append(Request(each, str(folder / str(number)), str(folder / "0"), str(BASELINES), "tf32", 1e-3))
    run_requests(tasks, 1, folder / "logs", 600, lambda _: None)
    records = [find_record(Path(task.folder)) for task in tasks]
    assert [record.error for record in records if record.ending is Ending.CRASHED] == []
    return records


def assert_equal_to_the_bit(ours, theirs):
    assert ours.batches == theirs.batches
    assert set(ours.signals) == set(theirs.signals)
    for signal in set(ours.signals) - COSTS:
        assert ours.signals[signal].tolist() == theirs.signals[signal].tolist(), signal
    assert ours.state.names == theirs.state.names
    assert ours.state.values.tolist() == theirs.state.values.tolist()


def test_a_run_in_a_used_process_is_that_of_a_fresh_one_to_the_bit(tmp_path, monkeypatch):
    """Whatever ran before it: faults of every layer, other kernels, noise, a shadowed step, another device, a stop."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of the fresh one, as workers have: sums depend on it
    twin = experiment(Kind.TWIN, "plain")
    watched = experiment(Kind.SHADOWED, "h", shadow=(0, 1), shadow_tier="tf32", forced=True)
    before = [
        experiment(Kind.FAULT, "f", 3, faults=("conv-wgrad-x1.05",), stops=True),
        experiment(Kind.FAULT, "f", faults=("weights-in-bf16", "aux-loss-doubled", "channels-swapped")),
        experiment(Kind.SHADOWED, "f", faults=("race-1e-2",), shadow=(0,), shadow_tier="tf32", stops=True),
        experiment(Kind.HEALTHY, "h", noise_tier="fp32", noise_seed=7, channels_last=True, onednn=False, threads=2),
        watched,
        Experiment("ann_small", CONFIG, Kind.REPEAT, "r", device="cpu", noise_tier="tf32", noise_seed=9, iterations=2),
    ]
    records = run_in_one_process(tmp_path / "used", [twin, *before, twin])
    assert [record.ending.value for record in records[1:3]] == ["stopped", "complete"]
    fresh = execute(Order(config=CONFIG, device="emulated", profile="tf32", iterations=2), tmp_path / "fresh")
    assert fresh.error is None, fresh.output
    assert_equal_to_the_bit(records[0].trace, fresh.trace)
    assert_equal_to_the_bit(records[-1].trace, fresh.trace)
    assert_equal_to_the_bit(records[5].trace, fresh.trace)  # shadow ops watch, and change nothing
    assert records[1].trace.signals["grad_norm"][0] != fresh.trace.signals["grad_norm"][0]


@pytest.mark.usefixtures("capsys")
def test_detection_does_not_drop_and_no_healthy_port_is_called(tmp_path):
    """One fault that the loss sees, one that takes two iterations, one that shadow ops alone see, one without effect.

    Those of the weight gradient, of BatchNorm's buffers and of upsampling are called where a verdict is asked for.
    """
    faults = "momentum-zero,aux-loss-lost,subnormals-flushed,conv-wgrad-layer-x1.01"
    words = ["power", "ann_small", "--faults", faults, "--healthy", "2", "--iterations", "2", "--repeats", "8"]
    words += ["--shadow", "1"]
    out = tmp_path / "out"
    assert main([*words, "--jobs", "1", "--work-dir", str(tmp_path / "runs"), "--out", str(out)]) == 0
    document = json.loads((out / "power.json").read_text())
    seen = {row["fault"]: row["iteration"] for row in document["faults"] if row["seen"]}
    assert seen == {"momentum-zero": 1, "aux-loss-lost": 0}
    assert [row["reason"] for row in document["healthy"] if row["seen"]] == []
    assert [row["shadow"] for row in document["healthy"] if row["shadow"]] == []
    rows = {row["fault"]: row for row in document["faults"]}
    assert "weight gradient" in rows["conv-wgrad-layer-x1.01"]["shadow"][1], "no trace shows it, shadow ops do"
    assert rows["subnormals-flushed"]["shadow"] is None
    assert rows["subnormals-flushed"]["effect"]["extent"] == "none"
    assert document["rates"]["legacy_detected"]["count"] < document["rates"]["gate"]["detected"]["count"]
