"""The part of some items that fails, of which nothing can be left out."""

from hypothesis import given
from hypothesis import strategies as st

from harness.shadow.probing.delta_debugging import minimize


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))))
def test_what_is_left_is_what_makes_it_fail(case):
    count, culprits = case
    assert minimize(range(count), lambda part: culprits <= set(part)) == sorted(culprits)


@given(st.integers(1, 60), st.integers(1, 60))
def test_nothing_can_be_left_out_of_what_is_left(count, least):
    def fails(part):
        return len(part) >= min(least, count) and len(part) % 3 != 1

    if not fails(range(count)):
        return
    kept = minimize(range(count), fails)
    assert fails(kept)
    assert not any(fails(kept[:place] + kept[place + 1 :]) for place in range(len(kept)) if len(kept) > 1)


def test_no_less_is_kept_than_is_asked_for():
    assert len(minimize(range(9), lambda part: True, least=4)) == 4


def test_the_order_is_kept():
    assert minimize("abcdefgh", lambda part: {"g", "b"} <= set(part)) == ["b", "g"]


def test_nothing_is_tried_once_the_time_is_over_however_much_is_left():
    tried = []
    kept = minimize(range(200_000), lambda part: tried.append(part) is not None, is_over=lambda: len(tried) >= 20)
    assert (len(kept), len(tried)) == (200_000, 20)


def test_what_was_found_before_the_time_was_over_stays():
    tried = []

    def fails(part):
        tried.append(part)
        return 7 in part

    assert len(minimize(range(64), fails, is_over=lambda: len(tried) >= 4)) < 64
