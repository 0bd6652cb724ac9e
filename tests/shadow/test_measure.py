"""The two measures, and how far an operation carries a rounding."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.shadow.arithmetic.conditioning import measure_scale, perturbed
from harness.shadow.arithmetic.measure import measure, measure_bits

DOUBLES = st.lists(st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-3), min_size=1, max_size=40)


@given(DOUBLES, st.floats(-0.5, 0.5))
def test_a_factor_is_its_projection_and_its_error(values, excess):
    r = torch.tensor(values, dtype=torch.float64)
    distance = measure(r * (1 + excess), r)
    if float(r.norm()):
        assert distance.projection == pytest.approx(excess, abs=1e-9)
        assert distance.error == pytest.approx(abs(excess), abs=1e-9)
        assert 1 <= distance.spread <= len(values) * (1 + 1e-9)


@given(DOUBLES)
def test_nothing_differs_from_itself(values):
    r = torch.tensor(values, dtype=torch.float64)
    assert measure(r, r).error == 0.0
    assert measure_bits(r, r).error == 0.0


def test_zero_against_something_is_infinitely_far():
    assert measure(torch.ones(3), torch.zeros(3, dtype=torch.float64)).error == math.inf


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_on_one_side_is_infinitely_far(value):
    r = torch.ones(3, dtype=torch.float64)
    assert measure(torch.tensor([1.0, value, 1.0]), r).error == math.inf


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_on_both_sides_agrees(value):
    both = torch.tensor([1.0, value, 1.0])
    assert measure(both, both.double()).error == 0.0


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_overflow_where_float64_has_no_number_agrees(value):
    """∞ − ∞ has no number; a sum in another order is infinite before it gets there."""
    due, other = torch.tensor([1.0, math.nan], dtype=torch.float64), torch.tensor([1.0, value], dtype=torch.float64)
    assert measure(other.float(), due).error == 0.0
    assert measure(torch.tensor([1.0, 0.0]), due).error == math.inf, "a number that hides that there is none"


@pytest.mark.parametrize("due", [math.inf, -math.inf, 1e300])
@pytest.mark.parametrize("made", [5.0, 3.4e38, math.nan])
def test_where_the_host_is_infinite_no_number_agrees(due, made):
    reference = torch.tensor([1.0, due], dtype=torch.float64)
    assert measure(torch.tensor([1.0, made]), reference).error == math.inf
    assert measure(torch.tensor([1.0, -math.copysign(math.inf, due)]), reference).error == math.inf
    assert measure(torch.tensor([1.0, math.copysign(math.inf, due)]), reference).error == 0.0


def test_numbers_whose_squares_float64_cannot_hold_are_measured_too():
    due = torch.tensor([1e200, -3e200], dtype=torch.float64)
    assert measure(due, due).error == 0.0
    found = measure(1.25 * due, due)
    assert found.error == pytest.approx(0.25)
    assert found.projection == pytest.approx(0.25)
    assert found.size == pytest.approx(math.sqrt(10) * 1e200)


def test_at_the_edge_of_its_range_a_dtype_may_be_infinite_or_not():
    largest = torch.finfo(torch.float16).max
    for due in (0.995 * largest, 1.005 * largest):
        reference = torch.tensor([1.0, due], dtype=torch.float64)
        for made in (largest, math.inf):
            assert measure(torch.tensor([1.0, made], dtype=torch.float16), reference).error < 0.01


def test_an_overflow_of_the_dtype_agrees_with_what_float64_holds():
    assert measure(torch.tensor([math.inf, 1.0], dtype=torch.float16), torch.tensor([1e6, 1.0]).double()).error == 0.0
    assert measure(torch.tensor([0.0, 1.0], dtype=torch.float16), torch.tensor([1e6, 1.0]).double()).error > 0.9


def test_another_shape_is_infinitely_far():
    assert measure(torch.ones(3), torch.ones(4).double()).error == math.inf
    assert measure_bits(torch.ones(3), torch.ones(4)).error == math.inf


def test_bits_count_the_elements_that_differ():
    a = torch.tensor([1.0, 2.0, math.nan, 4.0])
    assert measure_bits(a, a.clone()).error == 0.0
    assert measure_bits(a + torch.tensor([0.0, 0.0, 0.0, 1e-6]), a).error == 0.25


def test_the_empty_tensor_is_equal():
    assert measure(torch.empty(0), torch.empty(0).double()).error == 0.0
    assert measure_bits(torch.empty(0), torch.empty(0)).error == 0.0


class TestScale:
    def scale(self, function, *tensors):
        args = [tensor.double() for tensor in tensors]
        result = function(*args)
        ((moved, _),) = measure_scale(lambda a, k: [function(*a)], args, {}, [result], seed=3)
        return moved / float(result.norm())

    def test_is_about_one_where_nothing_cancels(self):
        assert 0.5 < self.scale(torch.mul, torch.rand(1000), torch.rand(1000)) < 2

    def test_is_large_where_a_difference_cancels(self):
        x = torch.rand(1000, dtype=torch.float64) + 1
        assert self.scale(torch.sub, x, x * (1 + 1e-6)) > 1e5

    def test_is_large_where_a_sum_cancels(self):
        x = torch.randn(10_000, dtype=torch.float64)
        x -= x.mean() * (1 - 1e-9)
        assert self.scale(torch.sum, x) > 1e5


class TestPerturbed:
    def signs(self, seed, count=80_000):
        x = torch.linspace(1, 2, count, dtype=torch.float64).view(8, -1)
        moved = perturbed(x, torch.Generator().manual_seed(seed)) - x
        assert torch.allclose(moved.abs(), 2.0**-20 * x, rtol=1e-8)
        return moved.sign().flatten()

    def test_each_element_goes_up_or_down_by_chance(self):
        signs = self.signs(1)
        assert abs(float(signs.mean())) < 5 / 80_000**0.5
        # No two elements of a row of bytes, of words or of words' halves hang together.
        for apart in (1, 4, 7, 8, 9, 16, 64):
            assert abs(float((signs[apart:] * signs[:-apart]).mean())) < 5 / 80_000**0.5

    def test_the_draws_hang_on_the_seed(self):
        assert torch.equal(self.signs(1), self.signs(1))
        assert abs(float((self.signs(1) * self.signs(2)).mean())) < 5 / 80_000**0.5

    def test_small_elements_move_by_what_they_are_taken_for(self):
        x = torch.tensor([1e-9, 0.0, 1.0, math.nan], dtype=torch.float64)
        moved = perturbed(x, torch.Generator().manual_seed(0), smallest=1e-3) - x
        assert torch.allclose(moved[:3].abs(), 2.0**-20 * torch.tensor([1e-3, 1e-3, 1.0]).double(), rtol=1e-6)
        assert math.isnan(float(moved[3]))

    def test_what_has_no_rounding_is_copied(self):
        labels, empty = torch.arange(5), torch.empty(0, dtype=torch.float64)
        changed = perturbed([labels, 3, empty], torch.Generator())
        assert torch.equal(changed[0], labels)
        assert changed[0] is not labels
        assert changed[1] == 3
        assert changed[2].numel() == 0


def test_what_is_measured_is_left_as_it_was():
    c, r = torch.ones(5, dtype=torch.float64), torch.full((5,), 2.0, dtype=torch.float64)
    measure(c, r)
    assert torch.equal(c, torch.ones(5, dtype=torch.float64))
    assert torch.equal(r, torch.full((5,), 2.0, dtype=torch.float64))


def test_large_results_are_measured_as_small_ones_are():
    torch.manual_seed(0)
    r = torch.randn(3_000_000, dtype=torch.float64)
    distance = measure((r * 1.5).float(), r)
    assert distance.error == pytest.approx(0.5, rel=1e-6)
    assert distance.size == pytest.approx(float(r.norm()))
    assert 0.3 < distance.spread / len(r) < 0.36  # a third, for normal numbers
