"""A fault on one rank alone, on two emulated devices: the rank is named before the all-reduce hides whose it was."""

import dataclasses

import pytest

from harness.running.baseline_recording import record
from harness.running.verification import verify
from harness.store.baselines import save_baseline
from harness.values.verdict import Outcome, Status

pytestmark = [pytest.mark.slow, pytest.mark.emulated]


@pytest.fixture(scope="module")
def of_two(tiny, order, tmp_path_factory):
    """A baseline of the tiny case in two processes, and an order that trains so on the emulated device."""
    folder = tmp_path_factory.mktemp("two")
    whole = dataclasses.replace(order, launcher="pytorch", processes=2, iterations=4)
    case = dataclasses.replace(tiny, fp64_iterations=0)
    made = record(case, whole, reference="cpu", reason="", repeats=5, tiers=("fp32",), folder=folder)
    save_baseline(folder / "baselines", made)
    return folder / "baselines", dataclasses.replace(whole, device="emulated", profile="fp32")


def failing(of_two, tiny, folder, **changes):
    baselines, order = of_two
    changed = dataclasses.replace(order, **changes)
    result = verify(tiny, changed, baselines=baselines, folder=folder, early_stop=False)
    assert result.verdict.status in {Status.PASS, Status.FAIL}, result.verdict.reason
    return result, [finding for finding in result.verdict.findings if finding.status is Outcome.FAIL]


def test_healthy_ranks_pass_and_their_gradients_are_judged(of_two, tiny, tmp_path):
    result, failed = failing(of_two, tiny, tmp_path)
    assert failed == []
    held = [finding for finding in result.verdict.findings if finding.signal == "gradient/*"]
    assert len(held) == 1
    assert held[0].message.startswith("the norms of 2 gradient")


def test_a_kernel_that_is_wrong_on_one_rank_is_named_by_that_ranks_gradients(of_two, tiny, tmp_path):
    """Rank 1's weight gradients are 5 % too large before the all-reduce: at iteration 0 no other rank is off."""
    _, failed = failing(of_two, tiny, tmp_path, faults=("conv-wgrad-x1.05#1",))
    first = [finding.signal for finding in failed if finding.iteration == 0 and finding.signal.startswith("gradient/")]
    assert first == ["gradient/rank 1"]


def test_gradients_that_are_lost_on_the_way_are_named_by_rank(of_two, tiny, tmp_path):
    _, failed = failing(of_two, tiny, tmp_path, faults=("allreduce-rank-lost",))
    named = [finding.message for finding in failed if finding.rule == "ranks"]
    assert named[0].startswith("the gradients of rank 1 don't arrive in the mean")
