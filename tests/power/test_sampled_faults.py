"""A sample of a study's faults is drawn from every stratum in proportion, and grows without being drawn anew."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.lab.faults import FAULTS
from harness.lab.power.sampled_faults import draw_faults
from harness.lab.power.study_plan import choose_faults, needs

CASES = ("one", "two", "three")
ABLE = [name for name, fault in FAULTS.items() if not needs(fault)]
ALL = choose_faults("all")


def pairs(count, seed=0):
    chosen, sampling = draw_faults(CASES, ALL, count, seed)
    drawn = {(case, fault) for case, faults in chosen.items() for fault in faults}
    assert len(drawn) == sampling.count == min(count, sampling.of)
    return drawn


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 200), st.integers(0, 200), st.integers(0, 5))
def test_a_smaller_sample_is_a_part_of_a_larger_one(count, more, seed):
    assert pairs(count, seed) <= pairs(count + more, seed)


def test_it_is_drawn_in_proportion():
    count, whole = 120, len(CASES) * len(ABLE)
    drawn = pairs(count)
    for stratum in (lambda case, fault: case, lambda _, fault: fault.strikes, lambda _, fault: fault.blind):
        taken = Counter(stratum(case, FAULTS[name]) for case, name in drawn)
        every = Counter(stratum(case, FAULTS[name]) for case in CASES for name in ABLE)
        groups = len({(case, FAULTS[name].strikes, FAULTS[name].blind) for case in CASES for name in ABLE})
        for key, size in every.items():
            assert abs(taken[key] - size * count / whole) <= groups / 2
            assert taken[key], key


def test_another_seed_draws_others_and_the_same_seed_the_same():
    assert pairs(40, 1) != pairs(40, 2)
    assert pairs(40, 1) == pairs(40, 1)


def test_every_pair_is_drawn_about_equally_often():
    counted = Counter(pair for seed in range(200) for pair in pairs(40, seed))
    due = 200 * 40 / (len(CASES) * len(ABLE))
    assert len(counted) == len(CASES) * len(ABLE), "no pair is out of reach"
    assert max(counted.values()) < due + 6 * due**0.5


def test_more_than_there_are_is_all_of_them():
    assert pairs(10**6) == {(case, fault) for case in CASES for fault in ABLE}
