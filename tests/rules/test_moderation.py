"""Moderated variances against populations whose parameters are known."""

import dataclasses

import numpy as np
import pytest

from harness.rules.moderation import estimate_prior, moderate
from harness.rules.spread import measure_spread

FREEDOM = 7


def draw_variances(rng, count, prior_freedom, prior_variance):
    """True variances from a scaled inverse χ², and their estimates from k = 8 runs."""
    true = prior_variance * prior_freedom / rng.chisquare(prior_freedom, count)
    return true, true * rng.chisquare(FREEDOM, count) / FREEDOM


@pytest.mark.parametrize(("prior_freedom", "prior_variance"), [(4.0, 1e-8), (6.0, 3.0), (1.5, 1e-12)])
def test_the_population_is_found_again(prior_freedom, prior_variance):
    _, estimates = draw_variances(np.random.default_rng(0), 20_000, prior_freedom, prior_variance)
    freedom, variance = estimate_prior(estimates, FREEDOM)
    assert freedom == pytest.approx(prior_freedom, rel=0.1)
    assert variance == pytest.approx(prior_variance, rel=0.1)


def test_a_homogeneous_population_counts_as_much_as_the_runs_themselves():
    estimates = 4.0 * np.random.default_rng(1).chisquare(FREEDOM, 2000) / FREEDOM
    freedom, variance = estimate_prior(estimates, FREEDOM)
    assert freedom == FREEDOM
    assert variance == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("prior_freedom", [2.0, 8.0])
def test_false_alarms_of_many_tensors_are_as_rare_as_asked(prior_freedom):
    rng = np.random.default_rng(2)
    tensors, rounds, rate = 60, 400, 0.1
    alarms = 0
    for _ in range(rounds):
        true, _ = draw_variances(rng, tensors, prior_freedom, 1e-10)
        logs = np.sqrt(true) * rng.standard_normal((9, 1, tensors))
        spread = moderate(measure_spread(np.exp(logs[:-1])), ["role"] * tensors)
        alarms += bool((np.abs(spread.deviation(np.exp(logs[-1]))) > spread.allowed(tensors, rate)).any())
    assert alarms / rounds <= rate + 4 * np.sqrt(rate * (1 - rate) / rounds)


def test_a_tensor_that_agreed_by_luck_is_not_trusted_and_the_bounds_tighten():
    rng = np.random.default_rng(3)
    healthy = np.exp(1e-5 * rng.standard_normal((8, 1, 40)))
    healthy[:, :, 7] = 1.0
    plain = measure_spread(healthy)
    moderated = moderate(plain, ["role"] * 40)
    assert moderated.sigma[0, 7] > 3 * plain.sigma[0, 7]
    assert np.median(moderated.allowed(1000, 1e-3)) < np.median(plain.allowed(1000, 1e-3))


def test_groups_do_not_touch_each_other_and_small_ones_stay():
    rng = np.random.default_rng(4)
    healthy = np.exp(np.where(np.arange(10) < 5, 1e-6, 1e-2) * rng.standard_normal((8, 2, 10)))
    plain = measure_spread(healthy)
    groups = ["a"] * 5 + ["b"] * 3 + ["c"] * 2
    moderated = moderate(plain, groups)
    assert moderated.sigma[:, :5].max() < 1e-5
    assert moderated.sigma[:, 8:].tolist() == plain.sigma[:, 8:].tolist()
    assert dataclasses.replace(moderated, sigma=plain.sigma).center.tolist() == plain.center.tolist()


def test_an_event_that_a_tensor_has_not_met_is_allowed_as_its_neighbours_met_it():
    """One run in eight moves each tensor far; the tensors that none of the repeats moved aren't held to their luck."""
    rng = np.random.default_rng(5)
    healthy = 1e-7 * rng.standard_normal((8, 1, 30))
    healthy[rng.integers(8, size=20), 0, np.arange(20)] += 3e-4
    moderated = moderate(measure_spread(np.exp(healthy)), ["role"] * 30)
    event = np.exp(np.full((1, 30), 3e-4))
    assert (np.abs(moderated.deviation(event)) <= moderated.allowed(3000, 2e-4)).all()
    far = np.exp(np.full((1, 30), 3e-2))
    assert (np.abs(moderated.deviation(far)) > moderated.allowed(3000, 2e-4)).all()
