"""The statistics that every bound rests on, held against simulation and against scipy's own quantiles."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.rules.spread import FLOAT32_RESOLUTION, measure_spread, pool_with_next, smooth_over_iterations

ROUNDS = 4000


@pytest.mark.parametrize("repeats", [5, 8, 16])
@pytest.mark.parametrize("rate", [0.2, 0.02])
def test_false_alarms_of_one_look_are_as_rare_as_asked(repeats, rate):
    rng = np.random.default_rng(repeats)
    logs = 1e-3 * rng.standard_normal((repeats + 1, ROUNDS))
    spread = measure_spread(np.exp(logs[:-1]))
    alarms = np.abs(spread.deviation(np.exp(logs[-1]))) > spread.allowed(1, rate)
    error = math.sqrt(rate * (1 - rate) / ROUNDS)
    assert abs(alarms.mean() - rate) < 4 * error


def test_the_rate_holds_over_all_looks_together():
    rng = np.random.default_rng(0)
    looks, rate, rounds = 50, 0.1, 2000
    logs = 1e-3 * rng.standard_normal((9, rounds, looks))
    spread = measure_spread(np.exp(logs[:-1]))
    alarms = (np.abs(spread.deviation(np.exp(logs[-1]))) > spread.allowed(looks, rate)).any(axis=1)
    assert alarms.mean() <= rate + 4 * math.sqrt(rate * (1 - rate) / rounds)
    assert alarms.mean() >= rate / 2


def test_more_repeats_tighten_the_bound():
    quantiles = [
        float(measure_spread(np.full((k, 1), 1.0)).allowed(100, 1e-3)[0]) / FLOAT32_RESOLUTION for k in (5, 8, 16)
    ]
    assert quantiles == sorted(quantiles, reverse=True)
    assert quantiles[1] == pytest.approx(stats.t.isf(1e-3 / 200, 7) * math.sqrt(9 / 8))


def test_equal_runs_are_known_no_better_than_float32():
    spread = measure_spread(np.full((8, 3), 2.5))
    assert spread.sigma.tolist() == [FLOAT32_RESOLUTION] * 3


def test_signals_that_are_not_positive_are_compared_on_their_own_scale():
    rng = np.random.default_rng(1)
    healthy = np.array([-2.0, 0.0, 3.0]) + 1e-6 * rng.standard_normal((8, 3))
    spread = measure_spread(healthy)
    assert spread.logarithmic.tolist() == [False, False, True]
    assert abs(float(spread.deviation(np.array([-2.2, 0.0, 3.0]))[0]) + 0.1) < 1e-3


def test_a_value_that_lost_its_sign_is_infinitely_far():
    spread = measure_spread(np.full((8, 2), 1.0))
    assert spread.deviation(np.array([0.0, -1.0])).tolist() == [-math.inf, -math.inf]
    assert np.isnan(spread.deviation(np.array([np.nan, 1.0]))[0])


@given(st.lists(st.floats(1e-6, 1e-1), min_size=1, max_size=60))
def test_smoothing_stays_between_the_smallest_and_the_largest(sigmas):
    flat = measure_spread(np.full((8, len(sigmas)), 1.0))
    rough = dataclasses.replace(flat, sigma=np.array(sigmas))
    smooth = smooth_over_iterations(rough).sigma
    assert smooth[0] == pytest.approx(sigmas[0])
    assert (smooth >= min(sigmas) * (1 - 1e-6)).all()
    assert (smooth <= max(sigmas) * (1 + 1e-6)).all()


@given(st.lists(st.lists(st.floats(1e-7, 1e-1), min_size=3, max_size=3), min_size=1, max_size=9), st.data())
def test_a_row_is_known_no_better_than_it_and_the_next_together(sigmas, data):
    rows = np.array(sigmas)
    ends = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1)), label="last rows of pieces"))
    spread = dataclasses.replace(measure_spread(np.full((8, *rows.shape), 1.0)), sigma=rows)
    pooled = pool_with_next(spread, ends).sigma
    freedom = pool_with_next(dataclasses.replace(spread, freedom=np.arange(rows.size, 0, -1).reshape(rows.shape)), ends)
    for row in range(len(rows)):
        alone = row in ends or row == len(rows) - 1
        both = rows[row] if alone else np.sqrt((rows[row] ** 2 + rows[row + 1] ** 2) / 2)
        assert pooled[row] == pytest.approx(np.maximum(rows[row], both))
        taken = False if alone else rows[row + 1] > rows[row]
        assert (freedom.freedom[row] == rows.size - 3 * row - np.arange(3) - 3 * np.asarray(taken)).all()


def test_a_row_says_nothing_of_another_whose_deviations_are_relative_to_something_else():
    healthy = np.exp(1e-6 * np.random.default_rng(0).standard_normal((8, 2, 1)))
    healthy[:, 1] = 1e-9 * np.random.default_rng(1).random((8, 1))
    spread = measure_spread(healthy, resolution=1e-7)
    assert spread.sigma[1] > 1000 * spread.sigma[0]
    assert pool_with_next(spread).sigma.tolist() == spread.sigma.tolist()
    unknown = dataclasses.replace(spread, logarithmic=np.ones((2, 1), bool), sigma=np.array([[1e-6], [np.nan]]))
    assert pool_with_next(unknown).sigma[0] == 1e-6
