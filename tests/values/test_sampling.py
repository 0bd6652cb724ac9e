"""Steps through a tensor's elements."""

from math import gcd, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.values.sampling import largest_step, smallest_step

SIDES = st.lists(st.integers(1, 64), min_size=1, max_size=4)


@given(SIDES, st.integers(1, 2_000))
def test_a_step_visits_every_place_along_every_side_before_it_comes_back(sides, wanted):
    elements = prod(sides)
    for step in (largest_step(elements, wanted), smallest_step(elements, wanted)):
        # After so many elements the place along each side from this one on is the same again.
        for period in (prod(sides[inner:]) for inner in range(len(sides))):
            if period <= 4096:
                assert len({step * at % period for at in range(period)}) == period


@given(st.integers(1, 10_000_000), st.integers(1, 2_000))
def test_a_step_is_the_nearest_one_on_its_side(elements, wanted):
    below, above = largest_step(elements, wanted), smallest_step(elements, wanted)
    assert 1 <= below <= wanted <= above
    assert all(gcd(step, elements) > 1 for step in (*range(below + 1, wanted + 1), *range(wanted, above)))


@pytest.mark.parametrize(
    ("elements", "farthest", "step"), [(147_456, 36, 35), (589_824, 144, 143), (4_096, 1, 1), (0, 0, 1)]
)
def test_steps_of_real_layers(elements, farthest, step):
    assert largest_step(elements, farthest) == step
