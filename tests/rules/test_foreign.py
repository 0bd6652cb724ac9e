"""Whose data two losses without digests are, by pairs whose truth is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rules.foreign import find_foreign_data
from harness.rules.gate import judge
from harness.values.verdict import Outcome, Status
from tests.healthy_runs import make_baseline, make_provenance, make_trace, with_signal


def trained(order=0, seed=0, iterations=30, share=1.0, batches=()):
    """A loss that goes up and down by 10 % with its batches, of which the run sees ``share``."""
    ups = 0.1 * np.random.default_rng(1000 + order).standard_normal(iterations)
    others = 0.1 * np.random.default_rng(2000 + order).standard_normal(iterations)
    trace = make_trace(seed, iterations=iterations)
    moved = trace.loss * np.exp(share * ups + (1 - share) * others)
    return dataclasses.replace(with_signal(trace, "loss", moved), batches=batches)


def test_batches_with_digests_need_no_guess():
    assert find_foreign_data(make_trace(0), make_trace(1)) == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"order": 0}, "probably the same data"),
        ({"order": 1}, "did not see the same data"),
        ({"order": 0, "share": 0.3}, "can't be told"),
        ({"order": 0, "share": 0.15, "iterations": 90}, "did not see the same data"),
        ({"order": 0, "iterations": 12}, "20 iterations are the least"),
    ],
    ids=["the same", "another order", "some images in common", "some in common, long enough to tell", "too short"],
)
def test_what_the_losses_say(other, said):
    reference = trained(iterations=max(30, other.get("iterations", 30)))
    (finding,) = find_foreign_data(reference, trained(seed=1, **other))
    assert finding.status is Outcome.INCONCLUSIVE
    assert said in finding.message


def test_nan_says_nothing():
    candidate = with_signal(trained(seed=1), "loss", np.full(30, np.nan))
    (finding,) = find_foreign_data(trained(), candidate)
    assert finding.status is Outcome.INCONCLUSIVE
    assert "can't be told" in finding.message


@given(st.integers(0, 5), st.floats(0, 1), st.integers(0, 60))
def test_no_loss_makes_up_for_a_digest(order, share, iterations):
    candidate = trained(order, seed=1, iterations=iterations, share=share)
    for sides in ((trained(), candidate), (candidate, make_trace(0))):
        assert {finding.status for finding in find_foreign_data(*sides)} == {Outcome.INCONCLUSIVE}


@pytest.mark.parametrize("batches", [(), ("",) * 30])
@pytest.mark.parametrize("order", [0, 1])
def test_the_verdict_stays_open_and_says_why(batches, order):
    baseline = make_baseline()
    tiers = {
        tier: tuple(with_signal(run, "loss", trained(0, seed).loss) for seed, run in enumerate(baseline.tiers[tier]))
        for tier in baseline.tiers
    }
    candidate = trained(order, seed=77, batches=batches)
    verdict = judge(dataclasses.replace(baseline, tiers=tiers), candidate, make_provenance())
    assert verdict.status is Status.INCONCLUSIVE
    assert "not the same experiment: batches" in verdict.reason
    assert ("did not see the same data" in verdict.reason) == (order == 1)
