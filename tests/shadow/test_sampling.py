"""Which calls of a step that is too large are checked."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.kinds import read_operation
from harness.shadow.watching import sampling
from harness.shadow.watching.sampling import STEPS_WORTH, StepSample, cost_of

aten = torch.ops.aten
RELU = read_operation(aten.relu.default)


def relu(size):
    return Call(aten.relu.default, RELU, ((torch.empty(size),), {}))


COST = cost_of(relu(10))


@pytest.fixture
def small_steps(monkeypatch):
    """Steps that may bring as much as one operation."""
    monkeypatch.setattr(sampling, "STEPS_WORTH", 1)


class TestDrawing:
    def test_takes_every_call_of_a_step_that_fits(self):
        sample = StepSample(COST, 0)
        assert all(sample.draws(relu(10), number, COST) for number in range(STEPS_WORTH))

    def test_takes_the_first_of_each_distinct_call_whatever_was_spent(self):
        sample = StepSample(COST, 0)
        for number in range(2000):
            sample.draws(relu(10), number, COST)
        assert all(sample.draws(relu(size), 2000 + size, COST) for size in range(11, 60))

    @settings(max_examples=30)
    @given(st.integers(0, 100), st.integers(1, 30))
    def test_of_repeats_spends_little_more_than_the_limit(self, iteration, kinds):
        sample = StepSample(COST, iteration)
        distinct = [relu(size) for size in range(1, kinds + 1)]
        calls = [distinct[number % kinds] for number in range(1000)]
        costs = [
            cost_of(call)
            for number, call in enumerate(calls)
            if sample.draws(call, number, cost_of(call)) and number >= kinds
        ]
        length = sum(map(cost_of, calls)) / (STEPS_WORTH * COST)
        assert sum(costs) < 1.5 * (1 + math.log(max(1, length))) * STEPS_WORTH * COST

    def test_samples_the_end_of_a_step_like_its_middle(self):
        sample = StepSample(COST, 0)
        taken = [number for number in range(20 * STEPS_WORTH) if sample.draws(relu(10), number, COST)]
        for part in range(10, 20):  # a chance of 1 in 10 to 1 in 20
            assert 0 < sum(part * STEPS_WORTH <= number < (part + 1) * STEPS_WORTH for number in taken) < 30

    def test_is_the_same_in_each_run_and_another_in_each_iteration(self):
        def taken(iteration):
            sample = StepSample(COST, iteration)
            return [number for number in range(400) if sample.draws(relu(10), number, COST)]

        assert taken(3) == taken(3)
        assert set(taken(3)) - set(taken(4))
        assert set(taken(4)) - set(taken(3))

    @pytest.mark.parametrize(
        "other",
        [
            Call(aten.relu.default, RELU, ((torch.empty(5, 2),), {})),
            Call(aten.relu.default, RELU, ((torch.empty(10, dtype=torch.float64),), {})),
            Call(aten.relu.default, RELU, ((torch.empty(20)[::2],), {})),
            Call(aten.relu_.default, read_operation(aten.relu_.default), ((torch.empty(10),), {})),
        ],
    )
    def test_tells_calls_by_operation_shape_dtype_and_stride(self, other, small_steps):
        sample = StepSample(COST, 0)
        drawn = [sample.draws(relu(10), number, COST) for number in range(100)]
        assert sum(drawn) < 20
        assert sample.draws(other, 100, COST)

    def test_tells_calls_by_their_plain_arguments_and_not_by_values(self, small_steps):
        operation = read_operation(aten._softmax.default)

        def softmax(axis):
            return Call(aten._softmax.default, operation, ((torch.randn(4, 4), axis, False), {}))

        sample = StepSample(1, 0)
        assert [sample.draws(softmax(0), number, COST) for number in range(5)] == [True, False, False, False, False]
        assert sample.draws(softmax(1), 5, COST)

    def test_of_an_update_costs_a_sample(self):
        op = aten._foreach_mul_.Scalar
        call = Call(op, read_operation(op), (([torch.empty(10_000_000)], 0.9), {}))
        assert cost_of(call) < 2**20


class TestAStep:
    def test_checks_each_distinct_call_and_says_which_it_left_out(self, shadowed, violations, small_steps):
        whole, mode = shadowed(), shadowed(budget=700_000)
        assert violations(mode) == ()
        assert {check.op for check in mode.checks} == {check.op for check in whole.checks}
        assert mode.unchecked
        assert sum(mode.checked.values()) + len(mode.unchecked) == sum(mode.calls.values())
        numbers = {check.call for check in mode.checks}
        assert not numbers & {call.call for call in mode.unchecked}
        for call in mode.unchecked:
            assert "a sample is checked" in call.why
            assert call.call < sum(mode.calls.values())

    def test_finds_a_wrong_kernel_by_the_calls_that_it_checks(self, shadowed, violations, wrong, small_steps):
        device = wrong("native_batch_norm", lambda out, *args: (out[0] * 1.01, *out[1:]))
        assert "native_batch_norm" in {row.op for row in violations(shadowed(device, budget=700_000))}

    def test_is_whole_by_default(self, shadowed):
        assert shadowed().unchecked == []
