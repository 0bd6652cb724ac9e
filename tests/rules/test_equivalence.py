"""Equivalence: shown, refuted, or not to be shown; and how often it is wrong, by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rules.equivalence import LARGEST_DEVIATION, MINIMUM_ITERATIONS, EquivalenceRule
from harness.values.verdict import Outcome
from tests.healthy_runs import make_trace, with_signal

RATE = 1e-3


def rule_of(runs, planned=30, rate=RATE):
    return EquivalenceRule(runs, planned, tier="fp32", false_alarm_rate=rate)


def healthy(scatter=0.0, repeats=8, iterations=30):
    """Runs whose loss is off by a factor of its own each, of standard deviation ``scatter``."""
    factors = np.exp(scatter * np.random.default_rng(5).standard_normal(repeats))
    runs = [make_trace(seed, iterations=iterations) for seed in range(repeats)]
    return [with_signal(run, "loss", run.loss * factor) for run, factor in zip(runs, factors, strict=True)]


@pytest.fixture(scope="module")
def rule():
    return rule_of(healthy())


def scaled(factor, seed=77):
    trace = make_trace(seed)
    return with_signal(trace, "loss", trace.loss * factor)


def test_a_healthy_run_is_shown_to_be_equivalent(rule):
    (finding,) = rule.judge(make_trace(77))
    assert finding.status is Outcome.PASS
    assert "shown to be within ±5 %" in finding.message
    assert 0.04 < finding.smallest_detectable < 0.06


@pytest.mark.parametrize("factor", [1.08, 1 / 1.08, 3.0, 0.3])
def test_a_loss_that_is_off_on_average_fails_to_either_side(rule, factor):
    (finding,) = rule.judge(scaled(factor))
    assert finding.status is Outcome.FAIL
    assert finding.observed == pytest.approx(factor - 1, rel=1e-2)
    assert abs(finding.observed) > finding.smallest_detectable


@pytest.mark.parametrize("factor", [1.02, 0.98])
def test_a_difference_that_is_small_to_everyone_is_shown_to_be_small(rule, factor):
    assert rule.judge(scaled(factor))[0].status is Outcome.PASS


@pytest.mark.parametrize("factor", [1.0, 1.06, 0.94])
def test_a_reference_that_scatters_shows_nothing_and_blames_nobody(factor):
    (finding,) = rule_of(healthy(scatter=0.05)).judge(scaled(factor))
    assert finding.status is Outcome.INCONCLUSIVE
    assert "not shown" in finding.message


def test_outside_of_what_even_such_a_reference_does_it_fails():
    assert rule_of(healthy(scatter=0.05)).judge(scaled(2.0))[0].status is Outcome.FAIL


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_what_is_no_loss_fails_where_it_is(rule, value):
    loss = np.where(make_trace(77).iterations == 9, value, make_trace(77).loss)
    (finding,) = rule.judge(with_signal(make_trace(77), "loss", loss))
    assert finding.status is Outcome.FAIL
    assert finding.iteration == 9


def test_too_short_a_run_is_not_asked():
    planned = MINIMUM_ITERATIONS - 1
    (finding,) = rule_of(healthy(), planned).judge(make_trace(77, iterations=planned))
    assert finding.status is Outcome.INFO
    assert "too few" in finding.message


def test_a_run_that_goes_on_is_not_asked(rule):
    assert rule.judge(make_trace(77, iterations=29)) == []


def test_a_reference_without_logarithm_is_not_asked():
    runs = [with_signal(run, "loss", run.loss - 2.0) for run in healthy()]
    (finding,) = rule_of(runs).judge(runs[0])
    assert finding.status is Outcome.INFO


@given(st.floats(-3, 3), st.floats(0, 0.3), st.integers(0, 20))
def test_nothing_outside_is_shown_to_be_inside_and_it_says_the_same_again(rule, offset, noise, seed):
    scatter = noise * np.random.default_rng(seed).standard_normal(30)
    trace = scaled(np.exp(offset + scatter - scatter.mean()))
    (finding,) = rule.judge(trace)
    assert finding == rule.judge(trace)[0]
    if abs(offset) > LARGEST_DEVIATION + 1e-3:
        assert finding.status is not Outcome.PASS
    if abs(offset) < LARGEST_DEVIATION - 1e-3:
        assert finding.status is not Outcome.FAIL
    if finding.status is Outcome.FAIL:
        assert math.copysign(1, finding.observed) == math.copysign(1, offset)


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_a_run_at_the_border_is_seldom_called_equivalent(memory):
    """Its true mean is δ off, so each call is wrong: 5 % are allowed, and some more where iterations remember."""
    rng = np.random.default_rng(11)
    rule = rule_of(healthy(iterations=60), planned=60)
    rounds, wrong = 400, 0
    for _ in range(rounds):
        noise = rng.standard_normal(60)
        for t in range(1, 60):
            noise[t] = memory * noise[t - 1] + math.sqrt(1 - memory**2) * noise[t]
        trace = make_trace(77, iterations=60)
        off = with_signal(trace, "loss", trace.loss * np.exp(LARGEST_DEVIATION + 0.02 * noise))
        wrong += rule.judge(off)[0].status is Outcome.PASS
    assert wrong / rounds <= 0.05 + 0.02 * (memory > 0) + 3 * math.sqrt(0.05 * 0.95 / rounds)


def test_healthy_runs_fail_as_seldom_as_asked():
    """Where runs part by far more than δ, its own bound is the one that holds."""
    rng = np.random.default_rng(12)
    rate, rounds, failed = 0.2, 200, 0
    for _ in range(rounds):
        factors = np.exp(0.5 * rng.standard_normal(9))
        runs = [scaled(factor, seed) for seed, factor in enumerate(factors)]
        failed += rule_of(runs[:-1], rate=rate).judge(runs[-1])[0].status is Outcome.FAIL
    assert failed / rounds <= rate + 3 * math.sqrt(rate * (1 - rate) / rounds)
    assert failed > 0
