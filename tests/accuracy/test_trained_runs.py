"""Verdicts on trained runs, and what a wish costs: against published tables, by properties, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.accuracy.acceptance_margins import NAMED_MARGINS, Margin, parse_margin
from harness.accuracy.run_plan import (
    equivalence_power,
    power_to_see,
    runs_for,
    smallest_seen,
    two_healthy_runs,
)
from harness.accuracy.trained_runs import PUBLISHED_SPREAD, compare_runs, judge_runs
from harness.values.errors import UsageError
from harness.values.verdict import Outcome, Status

HALF = Margin("0.5", points=0.5)


@pytest.mark.parametrize(
    ("spread", "expected"),
    [(0.1, [17, 4, 3, 2, 2]), (0.2, [64, 9, 4, 3, 2]), (0.4, [253, 29, 12, 4, 3]), (0.64, [644, 73, 27, 8, 3])],
)
def test_runs_a_side_are_those_of_the_noncentral_t_table(spread, expected):
    found = [runs_for(lambda n, d=d: power_to_see(d, spread, n, n)) for d in (0.1, 0.3, 0.5, 1.0, 2.0)]
    assert found == expected


def test_the_smallest_difference_that_runs_see():
    assert [round(smallest_seen(0.64, n, n), 2) for n in (2, 3, 5, 10, 20)] == [3.62, 1.97, 1.30, 0.85, 0.58]
    assert math.isinf(smallest_seen(0.64, 1, 1))
    assert math.isfinite(smallest_seen(0.64, 2, 1))


def test_two_healthy_runs_by_the_published_spread():
    """1.96 · √2 · 0.64; and the 58 % of pairs that differ by more than half a point."""
    assert two_healthy_runs(PUBLISHED_SPREAD) == pytest.approx(1.774, abs=1e-3)
    assert 2 * (1 - 0.5 * (1 + math.erf(0.5 / (math.sqrt(2) * 0.64) / math.sqrt(2)))) == pytest.approx(0.58, abs=0.005)


def test_the_published_spread_is_that_of_the_published_runs():
    triples = ((77.31, 77.91, 76.89), (79.74, 79.22, 78.40), (78.67, 80.00, 79.83))
    pooled = math.sqrt(sum(np.var(triple, ddof=1) for triple in triples) / 3)
    assert round(pooled, 2) == PUBLISHED_SPREAD


@given(st.floats(0.05, 3), st.integers(2, 30), st.floats(0.05, 3))
def test_power_grows_with_the_difference_and_starts_at_alpha(spread, runs, difference):
    assert power_to_see(0.0, spread, runs, runs) == pytest.approx(0.05, abs=2e-3)
    assert power_to_see(difference, spread, runs, runs) >= 0.05 - 2e-3
    assert power_to_see(2 * difference, spread, runs, runs) >= power_to_see(difference, spread, runs, runs) - 1e-9


@given(st.floats(0.05, 3), st.integers(2, 30), st.floats(0.05, 3))
def test_equivalence_is_shown_at_the_margin_no_more_often_than_alpha(spread, runs, margin):
    assert equivalence_power(margin, spread, runs, runs, difference=margin) <= 0.05 + 2e-3


_ACCURACIES = st.lists(st.floats(10, 90), min_size=2, max_size=8)


@given(_ACCURACIES, _ACCURACIES, st.floats(-5, 5))
def test_a_shift_of_both_sides_and_an_exchange_change_nothing(reference, candidate, shift):
    seen = compare_runs(reference, candidate)
    moved = compare_runs([x + shift for x in reference], [x + shift for x in candidate])
    assert moved.difference == pytest.approx(seen.difference, abs=1e-9)
    assert moved.spread == pytest.approx(seen.spread, abs=1e-7)
    turned = compare_runs(candidate, reference)
    assert (turned.low, turned.high) == pytest.approx((-seen.high, -seen.low))
    assert seen.low <= seen.difference <= seen.high


@pytest.mark.parametrize("margin", [None, HALF, NAMED_MARGINS["99%"]])
def test_one_run_a_side_is_inconclusive_however_equal(margin):
    for candidate in (77.0, 77.4, 20.0):
        verdict = judge_runs("made up", [77.4], [candidate], margin)
        assert verdict.status is Status.INCONCLUSIVE
        assert "differ by up to 1.8 points" in verdict.reason
    assert "differ by up to 2.8 points" in judge_runs("made up", [77.4], [77.0], margin, spread=1.0).reason


def test_within_beyond_and_over_the_edge_of_a_margin():
    reference = [77.40, 77.45, 77.35, 77.42]
    assert judge_runs("a", reference, [77.41, 77.44, 77.36, 77.40], HALF).status is Status.PASS
    fail = judge_runs("b", reference, [76.1, 76.2, 76.0, 76.1], HALF)
    assert fail.status is Status.FAIL
    assert fail.findings[0].status is Outcome.FAIL
    assert fail.findings[0].allowed == 0.005
    edge = judge_runs("c", reference, [76.95, 76.90, 76.85, 77.0], HALF)
    assert edge.status is Status.INCONCLUSIVE
    assert "a difference is shown, but the interval lies over the edge" in edge.reason
    assert "runs a side to show" in edge.findings[-1].message


def test_a_better_candidate_is_within_a_one_sided_margin_alone():
    reference, better = [77.40, 77.45, 77.35, 77.42], [79.4, 79.5, 79.3, 79.4]
    assert judge_runs("a", reference, better, HALF).status is Status.FAIL
    assert judge_runs("a", reference, better, NAMED_MARGINS["99%"]).status is Status.PASS
    assert judge_runs("a", reference, [75.4, 75.5, 75.3, 75.4], NAMED_MARGINS["99%"]).status is Status.FAIL


def test_without_a_margin_nothing_passes():
    reference = [77.40, 77.45, 77.35, 77.42]
    assert judge_runs("a", reference, reference[::-1], None).status is Status.INCONCLUSIVE
    assert judge_runs("a", reference, [70.0, 70.1], None).status is Status.FAIL


def test_copies_of_a_run_decide_nothing():
    verdict = judge_runs("a", [77.4, 77.4, 77.4], [77.41, 77.39, 77.42], HALF)
    assert verdict.status is Status.INCONCLUSIVE
    assert "copies" in verdict.reason


def test_one_candidate_against_several_references_is_a_prediction():
    seen = compare_runs([77.0, 77.5, 78.0, 77.2], [70.0])
    from scipy.stats import t

    spread = np.std([77.0, 77.5, 78.0, 77.2], ddof=1)
    assert seen.high - seen.low == pytest.approx(2 * t.ppf(0.975, 3) * spread * math.sqrt(1 + 1 / 4))
    assert judge_runs("a", [77.0, 77.5, 78.0, 77.2], [70.0], HALF).status is Status.FAIL


@pytest.mark.parametrize("bad", [[], [math.nan], [math.inf, 77.0]])
def test_a_side_without_finite_runs_is_refused(bad):
    with pytest.raises(UsageError, match="finite accuracies"):
        judge_runs("a", [77.0, 77.1], bad, HALF)


def test_margins_by_name_and_by_number():
    assert parse_margin("0.1%").at(80.0) == pytest.approx(0.08)
    assert parse_margin("0.15%").at(80.0) == 0.15
    assert parse_margin("99%").at(80.0) == pytest.approx(0.8)
    assert parse_margin("0.5", one_sided=True) == Margin("0.5", points=0.5, one_sided=True)
    assert all(margin.source for margin in NAMED_MARGINS.values())
    for bad in ("", "-1", "0", "nan", "inf", "1%"):
        with pytest.raises(UsageError, match="a margin is a number of points"):
            parse_margin(bad)


def test_the_stated_rates_hold_in_simulation():
    """A candidate on the margin passes at most 5 % of the time, and one beyond it fails at least 5 %: within 3 σ."""
    rng = np.random.default_rng(7)
    trials, spread, runs = 4000, 0.1, 5
    passed = failed = 0
    for _ in range(trials):
        reference, candidate = rng.normal(77.0, spread, runs).tolist(), rng.normal(76.5, spread, runs).tolist()
        status = judge_runs("a", reference, candidate, HALF).status
        passed += status is Status.PASS
        failed += status is Status.FAIL
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)
    assert passed / trials <= allowed
    assert 0.05 - 3 * math.sqrt(0.05 * 0.95 / trials) <= failed / trials <= allowed
