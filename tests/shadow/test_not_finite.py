"""What isn't finite goes through each healthy kernel in its own way, and vanishes in none.

An iteration whose gradients overflow is ordinary in mixed precision: a loss scaler begins high, and steps down.
"""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from harness.shadow.arithmetic import float64_comparison as comparison
from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.kinds import read_operation
from harness.shadow.arithmetic.measure import measure, measure_where_finite

ATEN = torch.ops.aten


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def errors_of(op, args, device):
    """The error of each result of a call, as a device makes it."""
    call = Call(op, read_operation(op), (args, {}))
    call = replace(call, before=comparison.host_inputs(call))
    reason, found = comparison.compare_in_double(call, device(*args), "fp32", seed=0)
    assert reason == ""
    return {entry.name: entry.distance.error for entry in found}


def padded(x, weight, *_):
    """A convolution of 3×3 with padding of 1 that leaves out what is padded: no zero is multiplied."""
    made = torch.zeros(x.shape[0], weight.shape[0], *x.shape[2:])
    height, width = x.shape[2:]
    for i in range(3):
        for j in range(3):
            rows = slice(max(0, 1 - i), min(height, height + 1 - i))
            columns = slice(max(0, 1 - j), min(width, width + 1 - j))
            there = x[:, :, rows.start + i - 1 : rows.stop + i - 1, columns.start + j - 1 : columns.stop + j - 1]
            made[:, :, rows, columns] += torch.einsum("nchw,oc->nohw", there, weight[:, :, i, j])
    return made


def in_fourier_space(x, weight, *_):
    """The same by a transform of the whole map: an element that isn't finite is everywhere then."""
    size = (x.shape[2] + 2, x.shape[3] + 2)
    spectrum = torch.fft.rfft2(x, size)[:, None] * torch.fft.rfft2(weight.flip(2, 3), size)
    return torch.fft.irfft2(spectrum.sum(2), size)[:, :, 1:-1, 1:-1]


CONVOLUTION = (None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("kernel", [padded, in_fourier_space])
def test_a_convolution_by_another_algorithm_is_right_whatever_becomes_of_an_infinity(kernel, value):
    x, weight = drawn(2, 3, 9, 8), drawn(4, 3, 3, 3, seed=1)
    (right,) = errors_of(ATEN.convolution.default, (x, weight, *CONVOLUTION), kernel).values()
    assert right < 1e-5
    x[0, 1, 4, 0] = value
    (spread,) = errors_of(ATEN.convolution.default, (x, weight, *CONVOLUTION), kernel).values()
    assert spread < 1e-5


def test_gradients_of_padded_places_may_be_zero_or_no_number():
    """Of a map of one pixel a kernel of 3×3 meets padding in eight places of nine."""
    gradient, x, weight = torch.full((2, 5, 1, 1), math.nan), drawn(2, 5, 1, 1), drawn(5, 1, 3, 3)
    args = (gradient, x, weight, [0], [1, 1], [1, 1], [1, 1], False, [0, 0], 5, [True, True, False])

    def leaves_out(*_):
        of_weight = torch.zeros(5, 1, 3, 3)
        of_weight[:, :, 1, 1] = math.nan
        return torch.full_like(x, math.nan), of_weight, None

    found = errors_of(ATEN.convolution_backward.default, args, leaves_out)
    assert found == {"input gradient": 0.0, "weight gradient": 0.0}


def test_a_wrong_number_beside_an_infinity_is_seen():
    x, weight = drawn(2, 3, 9, 8), drawn(4, 3, 3, 3, seed=1)
    x[0, 1, 4, 0] = math.inf

    def wrong(*args):
        made = padded(*args)
        made[1] *= 1.01
        return made

    (error,) = errors_of(ATEN.convolution.default, (x, weight, *CONVOLUTION), wrong).values()
    assert 1e-3 < error < 1e-1


def test_what_is_not_finite_does_not_vanish():
    x, weight = drawn(2, 3, 9, 8), drawn(4, 3, 3, 3, seed=1)
    x[0, 1, 4, 0] = math.inf
    args = (x, weight, *CONVOLUTION)
    (error,) = errors_of(ATEN.convolution.default, args, lambda *a: padded(*a).nan_to_num()).values()
    assert math.isinf(error)


def test_nor_does_it_come_from_numbers():
    x, weight = drawn(2, 3, 9, 8), drawn(4, 3, 3, 3, seed=1)

    def spoilt(*args):
        made = padded(*args)
        made[0, 0, 0, 0] = math.nan
        return made

    (error,) = errors_of(ATEN.convolution.default, (x, weight, *CONVOLUTION), spoilt).values()
    assert math.isinf(error)


def test_of_an_operation_that_mixes_nothing_each_place_is_held_to():
    x = torch.tensor([1.0, math.inf, math.nan, -math.inf])
    assert errors_of(ATEN.relu.default, (x,), F.relu) == {"output": 0.0}
    (error,) = errors_of(ATEN.relu.default, (x,), lambda x: F.relu(x.nan_to_num(nan=0.0))).values()
    assert math.isinf(error)


def test_another_shape_is_infinitely_far_there_too():
    assert math.isinf(measure_where_finite(torch.ones(3), torch.ones(4).double()).error)


def test_where_all_is_finite_it_is_the_same_distance():
    due = drawn(50).double()
    made = (due * 1.001).float()
    assert measure_where_finite(made, due) == measure(made, due)
    nothing = torch.full((4,), math.nan)
    assert measure_where_finite(nothing, nothing.double()).error == 0.0
