"""Every sum that the harness makes itself, held against float64, on tensors of 1 to 10 million elements."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recording.reductions import BLOCK, Gathered, block_norms, fetch, joint_norm, total

LAST_BITS = 2.4e-7
"""Two units in the last place of float32."""


def norms_of(*tensors):
    (found,) = fetch(block_norms(tensors))
    return found


def exactly(tensor):
    wide = torch.complex128 if tensor.is_complex() else torch.float64
    return torch.linalg.vector_norm(tensor.detach().to_dense().to(wide)).item()


@pytest.mark.parametrize("size", [1, 2, 127, 128, 129, 4096, 100_003, 524_288, 2_359_296, 10_000_000])
@pytest.mark.parametrize("values", ["normal", "all equal", "positive", "of many magnitudes"])
def test_a_norm_is_right_to_float32s_last_bits_at_every_size(size, values):
    torch.manual_seed(size)
    tensor = {
        "normal": lambda: torch.randn(size),
        "all equal": lambda: torch.full((size,), 0.1),
        "positive": lambda: torch.rand(size),
        "of many magnitudes": lambda: torch.randn(size) * 10.0 ** (8 * torch.rand(size) - 6),
    }[values]()
    assert norms_of(tensor)[0] == pytest.approx(exactly(tensor), rel=LAST_BITS)


def test_one_long_sum_is_not_right_to_float32s_last_bits():
    """Why blocks are needed: the day that this fails PyTorch sums by blocks itself."""
    tensor = torch.full((10_000_000,), 0.1)
    assert abs(torch._foreach_norm([tensor])[0].item() / exactly(tensor) - 1) > 100 * LAST_BITS


@given(st.lists(st.integers(0, 3 * BLOCK), max_size=12), st.integers(0, 2**31))
@settings(max_examples=50)
def test_each_tensor_has_its_own_norm_whatever_stands_beside_it(sizes, seed):
    tensors = [torch.randn(size, generator=torch.Generator().manual_seed(seed)) for size in sizes]
    assert norms_of(*tensors) == pytest.approx([exactly(tensor) for tensor in tensors], rel=LAST_BITS)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64])
def test_every_dtype_is_summed_at_least_in_float32(dtype):
    tensor = torch.randn(5_000).to(dtype)
    bound = 1e-12 if dtype is torch.float64 else LAST_BITS
    assert norms_of(tensor)[0] == pytest.approx(exactly(tensor), rel=bound)


def test_dtypes_and_layouts_may_stand_side_by_side():
    torch.manual_seed(0)
    rows = torch.sparse_coo_tensor(torch.tensor([[1, 1, 4]]), torch.randn(3, 700), (6, 700), check_invariants=True)
    tensors = [
        torch.randn(8, 16, 3, 3).to(memory_format=torch.channels_last),
        torch.randn(600, 3).half(),
        torch.randn(40, 50).t(),
        torch.randn(3, 700, dtype=torch.float64),
        torch.randn(1, 700).expand(5, 700),
        torch.tensor(3.0),
        rows,
    ]
    assert norms_of(*tensors) == pytest.approx([exactly(tensor) for tensor in tensors], rel=LAST_BITS)


@given(st.lists(st.integers(0, 40 * BLOCK), max_size=12), st.integers(0, 2**31))
@settings(max_examples=50)
def test_a_norm_of_all_together_is_that_of_one_long_tensor(sizes, seed):
    tensors = [torch.randn(size, generator=torch.Generator().manual_seed(seed)) for size in sizes]
    ((found,),) = fetch(joint_norm(tensors))
    assert found == pytest.approx(exactly(torch.cat([*tensors, torch.zeros(0)])), rel=LAST_BITS)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_a_norm_of_all_together_takes_dtypes_layouts_and_empty_tensors_side_by_side():
    compressed = torch.eye(300).to_sparse_csr()
    rows = torch.sparse_coo_tensor(torch.tensor([[1, 1, 4]]), torch.randn(3, 700), (6, 700), check_invariants=True)
    tensors = [
        torch.randn(64, 64, 3, 3).to(memory_format=torch.channels_last),
        torch.randn(8, 16, 3, 3).to(memory_format=torch.channels_last),
        torch.randn(600, 30).half(),
        torch.randn(40, 50).bfloat16().t(),
        torch.randn(3, 700, dtype=torch.complex64),
        torch.randn(1, 700).expand(50, 700),
        torch.zeros(0, 3),
        torch.tensor(3.0),
        rows,
        compressed,
    ]
    ((found,),) = fetch(joint_norm(tensors))
    assert found == pytest.approx(total([exactly(tensor) for tensor in tensors]), rel=LAST_BITS)
    assert fetch(joint_norm([])) == [[0.0]]
    ((spoilt,),) = fetch(joint_norm([torch.ones(4), torch.full((9,), float("nan"))]))
    assert np.isnan(spoilt)


def test_a_copy_is_made_into_the_memory_of_one_that_is_not_needed_any_more():
    rows, whole = torch.randn(40, 2, 64), torch.randn(300)
    gathered = Gathered.of([whole, rows[:, 0][:35], rows[:, 1][:5]])
    first = gathered.joined()
    rows.mul_(3.0)
    second = gathered.joined()
    ((of_update, of_rows, of_rest),) = fetch(first.overwritten_by_change_to(second).norms())
    assert of_update == 0.0
    assert [of_rows, of_rest] == pytest.approx([exactly(rows[:, 0][:35]) / 1.5, exactly(rows[:, 1][:5]) / 1.5])
    assert fetch(gathered.joined(first).norms()) == fetch(second.norms())


def test_what_is_not_finite_is_told_of_its_own_tensor_alone():
    spoilt = torch.ones(2_000)
    spoilt[1_700] = float("nan")
    endless = torch.ones(3)
    endless[1] = float("inf")
    found = norms_of(torch.ones(2_048), spoilt, endless, torch.ones(4))
    assert np.isnan(found[1])
    assert found[2] == float("inf")
    assert (found[0], found[3]) == (pytest.approx(2_048**0.5), 2.0)


def test_a_tensor_without_elements_has_norm_zero_and_none_has_none():
    assert norms_of(torch.zeros(0), torch.ones(1)) == [0.0, 1.0]
    assert norms_of() == []


def test_scalars_of_every_kind_arrive_as_they_are():
    scalars = [
        torch.tensor(2.0, requires_grad=True),
        torch.ones(1),
        torch.tensor(2**24 + 1),  # float32 has no such number
        torch.tensor(0.5).half(),
        torch.tensor(1 / 3, dtype=torch.float64),
        torch.tensor(True),
    ]
    assert fetch(scalars) == [[2.0, 1.0, 2.0**24 + 1, 0.5, 1 / 3, 1.0]]
    assert scalars[0].requires_grad


def test_groups_keep_their_order():
    found = fetch([torch.tensor(1.0)], block_norms([torch.ones(4), torch.ones(9)]), [], [torch.tensor(7)])
    assert found == [[1.0], [2.0, 3.0], [], [7.0]]


def test_a_total_is_that_of_all_tensors_together():
    tensors = [torch.randn(1_000), torch.randn(3, 5), torch.randn(100_000)]
    assert total(norms_of(*tensors)) == pytest.approx(exactly(torch.cat([t.flatten() for t in tensors])), rel=LAST_BITS)
    assert total([3.0, 4.0], [1.0, 4.0]) == pytest.approx((9 + 4 * 16) ** 0.5)
