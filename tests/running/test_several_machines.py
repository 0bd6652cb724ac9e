"""Processes on several machines, by ports of this one: the run of one machine; who hangs or dies is named."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.rules.rank_agreement import RankRow, judge_ranks
from harness.rules.rank_gradients import GradientMean
from harness.running import watchdog
from harness.running.folder import RANKS
from harness.running.order import Order
from harness.running.pool import Slot
from harness.running.pulse import rank_behind, tell_pulse
from harness.running.watchdog import Timeouts, execute
from harness.store.rank_stream import append_ranks, read_ranks
from harness.values.errors import UsageError
from harness.values.verdict import Outcome

COSTS = {"seconds", "memory"}


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("emulated", marks=pytest.mark.emulated)], ids=["gloo", "tccl"])
def test_two_by_two_processes_train_as_four_on_one_machine(changed, tmp_path, device):
    """Over gloo on the processor; on the emulated device over its own collective library."""
    several = {"launcher": "pytorch", "iterations": 3, "device": device}
    together = execute(changed(**several, processes=4), tmp_path / "one")
    assert together.error is None, together.output
    meeting = f"127.0.0.1:{free_port()}"
    parts = [changed(**several, processes=2, nodes=2, node=node, meeting=meeting) for node in (0, 1)]
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(execute, parts, [tmp_path / "0", tmp_path / "1"])
    assert first.error is None, first.output
    assert second.error is None, second.output
    assert (first.provenance.world_size, second.trace) == (4, None)
    assert first.trace.batches == together.trace.batches
    for name in set(together.trace.signals) - COSTS:
        assert first.trace.signals[name].tolist() == together.trace.signals[name].tolist(), name
    rows = read_ranks(tmp_path / "0" / RANKS)
    assert [row.iteration for row in rows] == [0, 1, 2]
    assert all(len(set(row.batches)) == 4 and len(set(row.parameters)) == 1 for row in rows)
    assert all(row.mean is not None and row.mean.excess <= 1 and not row.mean.odd for row in rows)
    assert all(len(set(row.gradients)) == 4 for row in rows), "each rank has gradients of its own"
    assert read_ranks(tmp_path / "one" / RANKS) == rows
    named = [f"gradient/rank {rank}" for rank in range(4)]
    assert [name for name in first.trace.state.names if name.startswith("gradient/")] == named
    assert [judged.status for judged in judge_ranks(rows)] == [Outcome.PASS]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "said"),
    [("kill", "rank 1 of the run crashed"), ("hang", "rank 1 got no further than iteration 3, begun")],
)
def test_the_rank_that_dies_or_hangs_is_named(changed, tmp_path, trouble, said):
    order = changed(launcher="pytorch", processes=2, options=(f"model.trouble=rank-1-{trouble}",))
    run = execute(order, tmp_path, timeouts=Timeouts(stall=20.0 if trouble == "hang" else 300.0))
    assert said in str(run.error), run.output
    assert len(run.trace) == 3


@pytest.mark.slow
def test_a_rank_that_would_crash_while_its_interpreter_is_torn_down_has_trained(changed, tmp_path):
    order = changed(launcher="pytorch", processes=2, iterations=5, options=("model.trouble=abort-at-the-end",))
    run = execute(order, tmp_path)
    assert run.error is None, run.output
    assert len(run.trace) == 5
    assert any("what was registered ran" in file.read_text() for file in tmp_path.rglob("stdout.log"))


def test_the_process_that_got_no_further_is_named(tmp_path):
    assert rank_behind(tmp_path) == ""
    for rank, stage in enumerate((1, 0, 1, 1)):
        tell_pulse(tmp_path, rank, 7, stage)
    assert rank_behind(tmp_path) == "rank 1 got no further than iteration 7, begun"
    tell_pulse(tmp_path, 1, 7, 1)
    assert rank_behind(tmp_path).startswith("ranks 0, 1, 2, 3 of this machine all stand at iteration 7, forward done")


def test_a_pulse_that_is_just_being_written_ends_no_run(tmp_path):
    class Child:
        """Looked at four times: it tells its pulse, is at writing the next, tells it, ends."""

        written = iter(("0 1", "", "1 0", None))

        def poll(self):
            if (text := next(self.written)) is None:
                return 0
            (tmp_path / "rank.2.pulse").write_text(text)
            return None

    assert watchdog._watch(Child(), tmp_path, Timeouts(), None, None, Slot(), follows=True).hung == ""


def test_what_each_rank_saw_comes_back(tmp_path):
    mean = GradientMean(3.5, "conv.weight", -0.125, (1,), (1.0, 1.05))
    rows = (
        RankRow(0, (1.0, 2.5), ("aa", "bb"), ("cc", "cc"), (0.5, 0.75), mean),
        RankRow(1, (float("inf"), 2.0), ("dd", "ee")),
    )
    for row in rows:
        append_ranks(tmp_path / RANKS, row)
    assert read_ranks(tmp_path / RANKS) == rows
    assert read_ranks(tmp_path / "none") == ()


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"nodes": 2, "meeting": "head:29500"}, "--nnodes"),
        ({"nodes": 2, "launcher": "pytorch"}, "--nnodes"),
        ({"nodes": 2, "launcher": "pytorch", "meeting": "head"}, "--nnodes"),
        ({"nodes": 2, "node": 2, "launcher": "pytorch", "meeting": "head:29500"}, "--node-rank"),
        ({"node": 1}, "--node-rank"),
    ],
)
def test_machines_that_can_not_meet_are_refused(fields, where):
    with pytest.raises(UsageError) as refused:
        Order("case.py", "cpu", **fields)
    assert refused.value.where == where
