"""The trend test: its p is exact where that can be counted, and healthy histories stay below the rate."""

import itertools

import numpy as np
import pytest

from harness.history.drift import FALSE_ALARM_RATE, LEAST, find_drifts, mann_kendall


def test_the_p_of_every_order_of_six_is_what_counting_gives():
    orders = [np.array(order, float) for order in itertools.permutations(range(6))]
    scores = np.array([abs(np.triu(np.sign(o[None, :] - o[:, None]), 1).sum()) for o in orders])
    for order, score in zip(orders[::7], scores[::7], strict=True):
        wanted = (scores >= score).mean()
        assert mann_kendall(order) == pytest.approx(wanted if score else 1.0)


def test_direction_does_not_matter_and_equal_values_say_nothing():
    rising = np.arange(10.0)
    assert mann_kendall(rising) == mann_kendall(-rising) < 1e-5
    assert mann_kendall(np.ones(10)) == 1.0


def test_ties_are_approximated():
    scipy_stats = pytest.importorskip("scipy.stats")
    values = np.array([1, 2, 2, 3, 1, 4, 5, 5, 6, 7, 6, 8], float)
    wanted = scipy_stats.kendalltau(np.arange(12), values, method="asymptotic").pvalue
    assert mann_kendall(values) == pytest.approx(wanted, rel=0.35)  # that one has no correction for continuity
    assert mann_kendall(values) > wanted


def test_a_plateau_counts_once():
    """A deterministic device repeats a number until the build changes: five plateaus are five values, too few."""
    plateaus = [(n, float(n // 8)) for n in range(40)]
    assert find_drifts({"x": plateaus})[1] == 0
    assert find_drifts({"x": [(n, float(n)) for n in range(LEAST)]})[1] == 1


def test_what_is_not_finite_is_left_out():
    assert find_drifts({"x": [(n, float("nan")) for n in range(40)]}) == ([], 0)


@pytest.mark.parametrize("draw", ["normal", "cauchy", "plateaus"])
def test_healthy_histories_seldom_show_a_drift(draw):
    """400 histories of 20 series: at most as many alarms as the 99.9 % quantile of Binomial(400, 0.01) = 11."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(400):
        if draw == "normal":
            values = rng.standard_normal((20, 40))
        elif draw == "cauchy":
            values = rng.standard_cauchy((20, 40))
        else:
            levels = rng.standard_normal((20, 40))
            values = np.take_along_axis(levels, np.cumsum(rng.random((20, 40)) < 0.5, axis=1).clip(max=39), axis=1)
        series = {str(k): list(enumerate(row.tolist())) for k, row in enumerate(values)}
        alarms += bool(find_drifts(series, FALSE_ALARM_RATE)[0])
    assert alarms <= 11
