"""The format that a result was stored in is read off its elements."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.shadow.arithmetic import float64_comparison as comparison
from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.kinds import read_operation
from harness.shadow.arithmetic.stored import coarseness, shows_format, stored_bits
from harness.shadow.evidence.checks import Coverage, Part, ShadowRecord
from harness.shadow.judging.operations import weigh_shadow


def drawn(seed, size=500):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rounded(values, bits):
    """Values with so many explicit mantissa bits, whatever their size."""
    mantissa, exponent = torch.frexp(values)
    return torch.ldexp((mantissa * 2 ** (bits + 1)).round() / 2 ** (bits + 1), exponent)


@given(st.integers(0, 2**31), st.integers(1, 23))
def test_as_many_bits_are_found_as_were_kept(seed, bits):
    assert stored_bits(rounded(drawn(seed), bits).float()) == bits


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float16, 10), (torch.bfloat16, 7), (torch.float32, 23)])
def test_a_dtype_uses_all_of_its_own(dtype, bits):
    values = drawn(0).to(dtype)
    assert stored_bits(values.float()) == bits
    assert dtype is torch.bfloat16 or stored_bits(values) == bits


@pytest.mark.parametrize("values", [torch.zeros(5), torch.ones(5), torch.tensor([]), torch.tensor(4.0)])
def test_powers_of_two_and_nothing_at_all_use_none(values):
    assert stored_bits(values) == 0


def test_one_element_far_behind_is_enough():
    values = torch.ones(10_000)
    values[9_876] = 1 + 2.0**-23
    assert stored_bits(values.view(100, 100).t()) == 23


@given(st.integers(0, 2**31), st.sampled_from([torch.float32, torch.float16, torch.bfloat16]))
def test_of_what_is_rounded_to_its_dtype_nothing_is_coarse(seed, dtype):
    due = drawn(seed)
    assert coarseness(due.to(dtype), due) is None


@given(st.integers(0, 2**31), st.integers(1, 17))
def test_what_went_through_a_narrower_format_is_coarse(seed, bits):
    due = drawn(seed)
    made = rounded(due, bits).float()
    few = made.unique().numel() < 64
    assert coarseness(made, due) == (None if few else bits)


def test_what_is_as_coarse_in_float64_is_not():
    due = torch.arange(1000, dtype=torch.float64) / 8
    assert coarseness(due.float(), due) is None


def test_a_few_values_tell_nothing():
    due = drawn(1, 60)
    assert coarseness(rounded(due, 7).float(), due) is None
    assert coarseness(torch.full((1000,), 0.75), torch.full((1000,), 0.7512345, dtype=torch.float64)) is None


def test_what_is_not_finite_is_no_format():
    due = drawn(4)
    assert coarseness((due * math.nan).float(), due) is None
    assert coarseness(torch.full((500,), math.inf), due) is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.complex64])
def test_other_dtypes_are_left_alone(dtype):
    due = drawn(2)
    assert coarseness(due.to(dtype), due) is None


@given(st.integers(0, 2**31), st.integers(6, 17))
def test_a_format_is_shown_by_values_that_no_healthy_kernel_would_store_so(seed, bits):
    due = drawn(seed)
    assert shows_format(rounded(due, bits).float(), due, bits)
    near = rounded(due, bits) * (1 + 2.0**-23)  # two units in the last place beside a number of few bits
    assert coarseness(rounded(near, bits).float(), near) == bits
    assert not shows_format(rounded(near, bits).float(), near, bits)


def found_of(op, *args, tier, device=lambda made: made):
    """What comparing a call of a healthy kernel finds, or of one whose result is changed."""
    call = Call(op, read_operation(op), (args, {}))
    call = replace(call, before=comparison.host_inputs(call))
    (entry,) = comparison.compare_in_double(call, device(op(*args)), tier, seed=0)[1]
    return entry


def test_half_of_a_number_of_few_bits_has_as_few():
    """GELU's gradient is half of what comes in where x is 10⁻⁸: float64 knows of one bit more in some places."""
    gradient = rounded(drawn(5, 2000), 10).float()
    x = torch.tensor([-3.2e-8, -6.9e-9, 1.1e-8, 6e-8]).repeat(500)
    gelu = torch.ops.aten.gelu_backward.default
    assert coarseness(gelu(gradient, x), gelu(gradient.double(), x.double())) == 10
    assert found_of(gelu, gradient, x, tier="fp16").stored is None
    x = torch.linspace(-2, 2, 2000)
    assert found_of(gelu, gradient, x, tier="fp16").stored is None
    narrowed = found_of(gelu, gradient, x, tier="fp16", device=lambda made: rounded(made.double(), 10).float())
    assert narrowed.stored == 10


def test_weights_that_a_tier_rounds_to_whole_numbers_make_whole_products():
    """Positions times weights that began as whole numbers and have taken one small step."""
    places = torch.randint(-9, 10, (4000, 3), generator=torch.Generator().manual_seed(0)).float()
    weights = torch.tensor([[-1.0, 2.0, 4.0], [3.0, -5.0, 7.0], [11.0, 13.0, -6.0]]) + 6e-5
    product = torch.ops.aten.mm.default

    def on_tf32(_):
        return places @ weights.round()

    assert coarseness(on_tf32(None), places.double() @ weights.double()) is not None
    assert found_of(product, places, weights, tier="tf32", device=on_tf32).stored is None
    assert found_of(product, places, weights, tier="fp32", device=on_tf32).stored is not None
    moved = weights + 0.3
    in_bfloat16 = found_of(product, places, moved, tier="tf32", device=lambda made: made.bfloat16().float())
    assert in_bfloat16.stored == 7


def test_another_shape_is_no_format():
    assert coarseness(drawn(3).float(), drawn(3, 400)) is None


def through_bfloat16(place):
    """Changes one of an operation's results."""

    def change(out, *_):
        parts = list(out)
        parts[place] = parts[place].bfloat16().float()
        return tuple(parts)

    return change


class TestAStep:
    """A weight gradient of 7 bits, which the rounding of a tier of 10 hides."""

    @pytest.fixture
    def rows(self, shadowed, wrong):
        def rows(tier, *, healthy=False):
            device = None if healthy else wrong("convolution_backward", through_bfloat16(1))
            mode = shadowed(device, tier)
            evidence = weigh_shadow(ShadowRecord((0,), tuple(mode.checks), Coverage(), tier), tier)
            return [row for row in evidence.violations if row.part is Part.PRECISION]

        return rows

    def test_is_found_and_named(self, rows):
        found = rows("tf32")
        assert {(row.op, row.tensor) for row in found} == {("convolution_backward", "format of weight gradient")}
        assert {row.module for row in found} == {"stem.0", "block.0"}, "the head's forty weights tell too little"

    def test_is_what_a_coarser_tier_keeps(self, rows):
        assert rows("bf16") == []

    def test_where_the_tier_keeps_no_more_its_numbers_have_no_wider_bound(self, shadowed, wrong, net, monkeypatch):
        """Else each result of a device that rounds to its tier's format would have one."""
        start = {name: value.clone() for name, value in net.state_dict().items()}

        def scales():
            net.load_state_dict(start)
            made = shadowed(wrong("convolution_backward", through_bfloat16(1)), "bf16").checks
            return [check.scale for check in made if check.part is not Part.PRECISION]

        with_formats = scales()
        monkeypatch.setattr(comparison, "coarseness", lambda *_: None)
        assert with_formats == scales()
        monkeypatch.setattr(comparison, "_too_coarse", lambda *_: 7)
        monkeypatch.setattr(comparison, "shows_format", lambda *_: True)
        monkeypatch.setattr(comparison, "_by_format", lambda call, before, found, tier: found)
        assert with_formats != scales()

    @pytest.mark.parametrize("tier", ["fp32", "tf32", "fp16", "bf16", "sdaa"])
    def test_a_healthy_one_is_not_called(self, rows, tier):
        assert rows(tier, healthy=True) == []
