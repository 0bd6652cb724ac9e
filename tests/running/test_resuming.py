"""A training that goes on from its checkpoint is the one that was never interrupted."""

from pathlib import Path

import pytest
import torch

from harness.running.checkpoints import find_checkpoint
from harness.running.folder import STREAM
from harness.running.watchdog import execute
from harness.values.errors import RunError, UsageError

HOOK = {"type": "CheckpointHook", "by_epoch": False, "interval": 3, "save_last": False}
EVERY_THIRD = tuple(f"default_hooks.checkpoint.{key}={value}" for key, value in HOOK.items())


@pytest.fixture
def training(changed):
    """An order of a training of the tiny config that writes a checkpoint after every third iteration."""
    return lambda **changes: changed(**{"training": True, "options": EVERY_THIRD, "iterations": 7, **changes})


def assert_equal(trace, other):
    assert trace.complete
    assert other.complete
    assert trace.batches == other.batches
    for name in set(other.signals) - {"seconds", "memory"}:
        assert trace.signals[name].tolist() == other.signals[name].tolist(), name
    assert trace.state.iterations.tolist() == other.state.iterations.tolist()
    assert trace.state.values.tolist() == other.state.values.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    "device", [{"device": "cpu"}, pytest.param({"device": "emulated", "profile": "fp32"}, marks=pytest.mark.emulated)]
)
def test_a_resumed_training_is_the_whole_one_to_the_bit(training, tmp_path, device):
    whole = execute(training(**device), tmp_path / "whole")
    assert whole.error is None, whole.output
    cut = execute(training(**device, iterations=5), tmp_path / "cut")
    assert len(cut.trace) == 5
    seen = []
    resumed = execute(training(**device, resume="auto"), tmp_path / "cut", on_iteration=seen.append)
    assert resumed.error is None, resumed.output
    assert [row.iteration for row in seen] == list(range(7))
    assert_equal(resumed.trace, whole.trace)


@pytest.mark.slow
def test_a_training_that_was_ended_before_its_first_checkpoint_begins_anew(training, tmp_path):
    execute(training(iterations=2), tmp_path)
    resumed = execute(training(resume="auto", iterations=4), tmp_path)
    assert resumed.error is None, resumed.output
    assert resumed.trace.iterations.tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_a_checkpoint_of_another_folder_has_no_trace_to_go_on_with(training, tmp_path):
    execute(training(iterations=3), tmp_path / "one")
    checkpoint = tmp_path / "one" / "iter_3.pth"
    assert torch.load(checkpoint, weights_only=True)["state_dict"]  # tensors and plain values alone
    resumed = execute(training(resume=str(checkpoint)), tmp_path / "other")
    assert "0 of 3" in str(resumed.error)


def test_without_resume_a_folder_that_holds_a_run_says_how_to_go_on(training, tmp_path):
    (tmp_path / STREAM).write_text("{}\n")
    with pytest.raises(RunError, match="--resume"):
        execute(training(), tmp_path)


def test_only_a_training_is_resumed(changed):
    with pytest.raises(UsageError, match="only a training"):
        changed(resume="auto")


def test_the_checkpoint_that_is_meant_is_found_or_named(tmp_path):
    assert find_checkpoint("auto", tmp_path) is None
    with pytest.raises(RunError, match="no such checkpoint"):
        find_checkpoint(str(tmp_path / "iter_9.pth"), tmp_path)
    (tmp_path / "last_checkpoint").write_text("/elsewhere/iter_3.pth")
    with pytest.raises(RunError, match="is gone"):
        find_checkpoint("auto", tmp_path)
    (tmp_path / "iter_3.pth").touch()
    assert find_checkpoint("auto", tmp_path) == tmp_path / "iter_3.pth"
    assert find_checkpoint(str(tmp_path / "iter_3.pth"), Path("/nowhere")) == tmp_path / "iter_3.pth"
