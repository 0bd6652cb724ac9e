"""Runs that end well, crash, hang, or are killed: what each leaves, and that none is taken for whole."""

import os
import signal
import subprocess
import sys
import time

import pytest

from harness.running import watchdog
from harness.running.folder import OUTPUT, STREAM
from harness.running.supervisor import HEAD, TAIL
from harness.running.watchdog import Timeouts, execute
from harness.store.stream import read_stream
from harness.values.errors import RunError

pytestmark = pytest.mark.slow


def test_a_run_that_ends_well_is_whole(changed, tmp_path):
    seen = []
    run = execute(changed(), tmp_path, on_iteration=seen.append)
    assert run.error is None
    assert run.trace.complete
    assert len(run.trace) == 12
    assert [row.iteration for row in seen] == list(range(12))
    assert run.provenance.case == "tiny"
    assert set(run.trace.batches) != {""}


def test_two_runs_are_equal_in_every_signal(changed, tmp_path):
    first, second = (execute(changed(), tmp_path / name).trace for name in ("a", "b"))
    for name in set(first.signals) - {"seconds", "memory"}:
        assert first.signals[name].tolist() == second.signals[name].tolist(), name
    assert first.state.values.tolist() == second.state.values.tolist()
    assert first.batches == second.batches


def test_a_run_whose_verdict_is_decided_is_ended_and_that_is_no_error(changed, tmp_path):
    asked = []

    def decides(trace, provenance):
        asked.append((len(trace), provenance.case))
        return len(trace) == 3

    run = execute(changed(options=("model.trouble=hang",)), tmp_path, decides=decides)
    assert run.stopped
    assert run.error is None
    assert (len(run.trace), run.trace.planned, run.trace.complete) == (3, 12, False)
    assert asked[-1] == (3, "tiny")
    assert not read_stream(tmp_path / STREAM).complete
    assert subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False).stdout == ""


def test_a_shadowed_iteration_of_many_operations_lives_as_long_as_they_are_checked(changed, tmp_path):
    """One at full size takes a quarter of an hour on a few cores; none of its operations takes long."""
    long, told = {"options": ("model.trouble=think",), "iterations": 5}, []
    shadowed = changed(**long, shadow=(3,), shadow_tier="tf32")
    run = execute(shadowed, tmp_path / "a", timeouts=Timeouts(stall=3.0), on_check=lambda *now: told.append(now))
    assert run.error is None, run.output
    assert len(run.trace) == 5
    assert {iteration for iteration, _ in told} == {3}
    assert [checked for _, checked in told] == sorted({checked for _, checked in told})
    run = execute(changed(**long), tmp_path / "b", timeouts=Timeouts(stall=3.0))
    assert "no progress for 3 s after 3 iterations" in str(run.error)


def test_a_shadowed_iteration_that_hangs_is_ended(changed, tmp_path):
    order = changed(options=("model.trouble=hang",), shadow=(3,), shadow_tier="tf32")
    run = execute(order, tmp_path, timeouts=Timeouts(stall=2.0))
    assert "no progress for 2 s after 3 iterations" in str(run.error)


def test_a_run_that_is_never_decided_is_no_less_watched(changed, tmp_path):
    order = changed(options=("model.trouble=hang",))
    run = execute(order, tmp_path, timeouts=Timeouts(stall=2.0), decides=lambda *_: False)
    assert not run.stopped
    assert "no progress for 2 s" in str(run.error)


def test_the_end_of_a_run_is_not_asked_about(changed, tmp_path):
    run = execute(changed(), tmp_path, decides=lambda trace, _: len(trace) == trace.planned)
    assert not run.stopped
    assert run.trace.complete


@pytest.mark.parametrize(
    ("trouble", "said"),
    [("crash", "exit code 1"), ("kill", "signal SIGKILL"), ("exit", "before its end"), ("hang", "no progress for 2 s")],
)
def test_trouble_at_the_fourth_iteration_leaves_three(changed, tmp_path, trouble, said):
    order = changed(options=(f"model.trouble={trouble}",))
    # On a busy machine a process that crashes takes its seconds to end.
    run = execute(order, tmp_path, timeouts=Timeouts(stall=2.0 if trouble == "hang" else 60.0))
    assert isinstance(run.error, RunError)
    assert said in str(run.error)
    assert len(run.trace) == 3
    assert not run.trace.complete
    if trouble == "crash":
        assert "the kernel fell over" in run.output


def test_a_crash_beside_a_full_disk_says_so(changed, tmp_path, monkeypatch):
    """Its traceback can't: there is no room for it."""
    monkeypatch.setattr(watchdog, "_free", lambda folder: 4096)
    run = execute(changed(options=("model.trouble=crash",)), tmp_path)
    assert "the disk that its files lie on is full" in str(run.error)
    assert "exit code 1, 3 of 12 iterations; 4,096 bytes are free" in str(run.error)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands a process the orphans of its descendants")
@pytest.mark.parametrize("trouble", ["daemon", "daemon-then-hang"])
def test_a_daemon_that_a_training_starts_ends_with_it(changed, tmp_path, monkeypatch, trouble):
    monkeypatch.setenv("TINY_DAEMON", str(tmp_path / "daemon"))
    run = execute(changed(options=(f"model.trouble={trouble}",)), tmp_path / "run", timeouts=Timeouts(stall=5.0))
    assert (run.error is None) == (trouble == "daemon")
    daemon = int((tmp_path / "daemon").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(daemon, 0)


def test_output_is_kept_from_its_beginning_and_its_end(changed, tmp_path):
    run = execute(changed(options=("model.trouble=print",)), tmp_path)
    assert run.error is None
    output = (tmp_path / OUTPUT).read_bytes()
    assert HEAD + TAIL < len(output) < HEAD + TAIL + 1000 < 300 * 100_000
    assert b"bytes were left out here" in output


def test_a_run_past_its_limit_is_killed(changed, tmp_path):
    run = execute(changed(options=("model.trouble=hang",)), tmp_path, timeouts=Timeouts(limit=8.0))
    assert "not done after 8 s" in str(run.error)


def test_a_folder_that_holds_a_run_is_not_run_in_again(changed, tmp_path):
    (tmp_path / STREAM).write_text("{}\n")
    with pytest.raises(RunError, match="holds a run already"):
        execute(changed(), tmp_path)


def test_a_config_that_mmengine_cannot_build_says_so(changed, tmp_path):
    run = execute(changed(options=("model.type=NoSuchModel",)), tmp_path)
    assert "NoSuchModel" in str(run.error)
    assert run.trace is None


def test_killing_the_watcher_ends_the_run(order, tmp_path):
    program = (
        "import sys; from pathlib import Path; from harness.running.watchdog import execute; "
        "from harness.running.order import Order; "
        "execute(Order.read(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    import dataclasses

    dataclasses.replace(order, options=("model.trouble=hang",)).write(tmp_path / "asked.json")
    folder = tmp_path / "run"
    watcher = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "asked.json"), str(folder)])
    deadline = time.monotonic() + 60
    while not ((folder / STREAM).exists() and len(read_stream(folder / STREAM)) == 3):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    watcher.send_signal(signal.SIGKILL)
    watcher.wait()
    time.sleep(0.5)
    running = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False).stdout.split()
    for pid in running:
        os.kill(int(pid), signal.SIGKILL)
    assert running == []
    assert not read_stream(folder / STREAM).complete


def test_one_folder_takes_one_run_at_a_time(changed, tmp_path):
    """Two trainings in one work folder wrote over each other's order, trace and output."""
    with watchdog._claimed(tmp_path), pytest.raises(RunError, match="another run is under way"):
        execute(changed(training=True, resume="auto"), tmp_path)
    assert list(tmp_path.iterdir()) == []
