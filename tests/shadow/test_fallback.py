"""Which operations a device leaves to its host."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from harness.shadow.watching.fallback import falls_back


@pytest.fixture(scope="module")
def ops():
    library = torch.library.Library("fallback_test", "DEF")
    library.define("own(Tensor x) -> Tensor")
    library.define("shared(Tensor x) -> Tensor")
    library.define("missing(Tensor x) -> Tensor")
    for name, key in (("own", "CUDA"), ("shared", "CompositeExplicitAutograd"), ("missing", "CPU")):
        library.impl(name, lambda x: x.clone(), key)
    yield torch.ops.fallback_test
    library._destroy()


@pytest.fixture
def elsewhere():
    with FakeTensorMode(allow_non_fake_inputs=True):
        return torch.empty(2, device="cuda")


def test_an_operation_without_a_kernel_is_left_to_the_host(ops, elsewhere):
    assert falls_back(ops.missing.default, (elsewhere,))
    assert falls_back(ops.missing.default, ([torch.ones(1), elsewhere],))


def test_an_operation_with_a_kernel_of_its_own_or_made_of_others_is_not(ops, elsewhere):
    assert not falls_back(ops.own.default, (elsewhere,))
    assert not falls_back(ops.shared.default, (elsewhere,))


def test_nothing_on_the_host_falls_back_to_it(ops):
    assert not falls_back(ops.missing.default, (torch.ones(2),))
    assert not falls_back(ops.missing.default, ())
