"""A baseline whose runs are made side by side: in the order of the plan, whatever order they end in."""

import threading
from pathlib import Path

import pytest

from harness.running import baseline_recording
from harness.running.baseline_recording import record
from harness.running.order import Order
from harness.running.pool import Slot
from harness.running.watchdog import Run
from harness.values.case import Case
from harness.values.errors import RunError
from tests.healthy_runs import make_provenance, make_trace

CASE = Case("made_up", Path("made_up.py"), 12, seed=0, tier="fp32", tiers=("fp32",), fp64_iterations=0)


def recorded(slots):
    order = Order("made_up.py", "cpu", iterations=12)
    settings = {"reference": "cpu", "reason": "", "repeats": 5, "tiers": ("fp32",), "folder": Path("nowhere")}
    return record(CASE, order, slots=slots, **settings)


def test_runs_lie_in_the_order_of_the_plan(monkeypatch):
    second_has_ended = threading.Event()

    def execute(order, *_, slot, **__):
        if order.noise_seed == 0 and slot.number < 3:
            assert second_has_ended.wait(60)
        if order.noise_seed == 1:
            second_has_ended.set()
        origin = make_provenance(iterations=12)
        return Run(make_trace(order.noise_seed, iterations=12), origin, None, "", 1.0)

    monkeypatch.setattr(baseline_recording, "execute", execute)
    beside = recorded([Slot(number) for number in range(3)])
    alone = recorded([Slot(9)])
    for one, other in zip(beside.tiers["fp32"], alone.tiers["fp32"], strict=True):
        assert one.loss.tolist() == other.loss.tolist()


def test_a_run_that_crashes_ends_the_recording(monkeypatch):
    def execute(order, *_, **__):
        error = RunError("the run crashed") if order.noise_seed == 3 else None
        return Run(make_trace(order.noise_seed, iterations=12), make_provenance(iterations=12), error, "", 1.0)

    monkeypatch.setattr(baseline_recording, "execute", execute)
    with pytest.raises(RunError, match="the run crashed"):
        recorded([Slot(0), Slot(1)])
