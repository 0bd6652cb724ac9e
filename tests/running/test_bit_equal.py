"""Without numerics the emulated device is the CPU: every recorded signal and the final state, to the bit."""

import dataclasses

import pytest

from harness.recording.evaluation_probe import evaluated_iterations
from harness.running.cases import find_case
from harness.running.order import Order
from harness.running.watchdog import execute

pytestmark = [pytest.mark.slow, pytest.mark.emulated]


@pytest.mark.parametrize(
    ("name", "iterations"), [("ann_small", 13), ("ccnet_small", 3), ("emanet_small", 3), ("ocrnet_small", 3)]
)
def test_every_iteration_is_equal_to_the_bit(name, iterations, tmp_path):
    """The thirteenth begins another epoch; more would start from equal state, and do as the first ones did."""
    order = Order(config=str(find_case(name).config), device="cpu", iterations=iterations)
    emulated = dataclasses.replace(order, device="emulated", profile="exact")
    ours, theirs = execute(order, tmp_path / "cpu"), execute(emulated, tmp_path / "emulated")
    assert ours.error is None, ours.output
    assert theirs.error is None, theirs.output
    assert len(ours.trace) == len(theirs.trace) == iterations
    assert ours.provenance.weights == theirs.provenance.weights
    assert ours.trace.batches == theirs.trace.batches
    for signal in set(ours.trace.signals) - {"seconds", "memory"}:
        assert ours.trace.signals[signal].tolist() == theirs.trace.signals[signal].tolist(), signal
    assert ours.trace.state.names == theirs.trace.state.names
    assert ours.trace.state.values.tolist() == theirs.trace.state.values.tolist()
    assert ours.trace.evaluation.iterations.tolist() == sorted(evaluated_iterations(iterations))
    assert ours.trace.evaluation.names == theirs.trace.evaluation.names
    assert ours.trace.evaluation.values.tolist() == theirs.trace.evaluation.values.tolist()
