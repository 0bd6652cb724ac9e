"""Rates: exact counts, and intervals that hold what they promise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from harness.lab.power.proportions import CONFIDENCE, Rate


@st.composite
def rates(draw):
    total = draw(st.integers(1, 400))
    return Rate(draw(st.integers(0, total)), total)


@given(rates())
def test_the_interval_holds_the_rate_and_stays_a_chance(rate):
    low, high = rate.interval
    assert 0 <= low <= rate.value <= high <= 1


@given(rates())
def test_beyond_the_interval_what_was_seen_would_have_been_rarer_than_promised(rate):
    low, high = rate.interval
    tail = (1 - CONFIDENCE) / 2
    assert low == 0.0 or binom.sf(rate.count - 1, rate.total, low) <= tail + 1e-6
    assert high == 1.0 or binom.cdf(rate.count, rate.total, high) <= tail + 1e-6


@given(rates())
def test_more_runs_of_the_same_rate_are_known_better(rate):
    low, high = rate.interval
    tighter_low, tighter_high = Rate(4 * rate.count, 4 * rate.total).interval
    assert tighter_high - tighter_low < high - low


def test_one_false_alarm_in_200_is_compatible_with_three_in_a_hundred_at_most():
    low, high = Rate(1, 200).interval
    assert low == pytest.approx(0.000127, abs=1e-5)
    assert high == pytest.approx(0.0275, abs=1e-3)


def test_of_nothing_nothing_is_known():
    assert Rate(0, 0).value is None
    assert Rate(0, 0).interval == (0.0, 1.0)
