"""The attribute that tells wrong calls from right ones: found where it is there, and not where chance would do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.shadow.judging.diagnosis.separation import FALSE_CLAIM_RATE, Attribute, separate, set_apart


def attribute(words, *holds, level=1):
    return Attribute(words, level, frozenset(holds))


SIXTY = [
    attribute("with dilation > 1", *range(8)),
    attribute("with dilation 1", *range(8, 60)),
    attribute("with stride > 1", 3, 4, 20, 21),
    attribute("with 1×1 kernels", *range(0, 60, 2)),
]


def test_names_the_attribute_of_all_wrong_calls():
    found = separate(SIXTY, frozenset(range(8)), 60)
    assert found is not None
    assert found.words == "with dilation > 1"
    assert found.holds == frozenset(range(8))
    assert found.saved > 20


def test_names_nothing_where_every_call_is_wrong():
    assert separate(SIXTY, frozenset(range(60)), 60) is None


def test_names_nothing_of_one_call_among_many():
    assert separate(SIXTY, frozenset({5}), 60) is None


def test_names_an_attribute_whose_calls_are_not_all_wrong():
    found = separate(SIXTY, frozenset(range(7)), 60)
    assert found is not None
    assert found.words == "with dilation > 1"


def test_names_nothing_that_a_wrong_call_lacks():
    found = separate(SIXTY, frozenset({*range(8), 40}), 60)
    assert found is None or 40 in found.holds


def test_names_two_attributes_together():
    found = separate(SIXTY, frozenset(range(0, 8, 2)), 60)
    assert found is not None
    assert found.words == "with dilation > 1 and with 1×1 kernels"


def test_says_which_other_attribute_the_same_calls_have():
    found = separate([*SIXTY, attribute("in channels-last layout", *range(8))], frozenset(range(8)), 60)
    assert found is not None
    assert found.equals == ("in channels-last layout",)


def test_takes_the_plainer_of_two():
    rare = attribute("with 12 input height", *range(8), level=5)
    found = separate([rare, *SIXTY], frozenset(range(8)), 60)
    assert found is not None
    assert found.words == "with dilation > 1"


def test_tells_what_sets_one_call_apart_plainest_first():
    attributes = [attribute("with 3 rows", 5, level=5), *SIXTY, attribute("with groups > 1", 5)]
    assert set_apart(attributes, frozenset({5}), 60) == ("with groups > 1", "with 3 rows")


@pytest.mark.parametrize("calls", [1, 2])
def test_claims_nothing_of_a_call_or_two(calls):
    attributes = [attribute(f"{number}", number) for number in range(calls)]
    assert separate(attributes, frozenset({0}), calls) is None


@pytest.mark.parametrize(("calls", "wrong"), [(12, 1), (12, 4), (30, 2), (60, 5), (60, 30)])
def test_seldom_claims_anything_of_wrong_calls_at_random(calls, wrong):
    """The false-claim rate is a bound for any attributes: here as many as a real operation has."""
    draw = np.random.default_rng(calls * 100 + wrong)
    attributes = [
        attribute(f"{number}", *np.flatnonzero(draw.random(calls) < share), level=level)
        for number, (level, share) in enumerate(
            [(1, 0.5)] * 6 + [(1, 0.1)] * 6 + [(2, 0.5)] * 6 + [(2, 0.1)] * 6 + [(4, 0.3)] * 20 + [(5, 0.03)] * 40
        )
    ]
    trials = 200
    claimed = sum(
        separate(attributes, frozenset(draw.choice(calls, wrong, replace=False).tolist()), calls) is not None
        for _ in range(trials)
    )
    assert claimed <= trials * FALSE_CLAIM_RATE + 3 * (trials * FALSE_CLAIM_RATE) ** 0.5


@settings(max_examples=100)
@given(st.data())
def test_what_it_names_holds_for_every_wrong_call(data):
    calls = data.draw(st.integers(1, 20))
    subset = st.frozensets(st.integers(0, calls - 1))
    attributes = [
        Attribute(str(number), level, holds)
        for number, (level, holds) in enumerate(data.draw(st.lists(st.tuples(st.sampled_from([1, 2, 4, 5]), subset))))
    ]
    wrong = data.draw(st.frozensets(st.integers(0, calls - 1), min_size=1))
    found = separate(attributes, wrong, calls)
    assert found is None or (wrong <= found.holds and len(found.holds) < calls)
