"""A comparison with a number is made in the tensor's dtype: what lies on the number is judged as PyTorch has it."""

import pytest
import torch
from torch import nn

from harness.shadow.evidence.checks import Coverage, ShadowRecord
from harness.shadow.judging.operations import weigh_shadow
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps


def violations(compare, x):
    """What violates of a comparison."""
    mode = ShadowOps(CallSites(nn.Identity()), 0, "fp32")
    with mode:
        compare(x)
    return weigh_shadow(ShadowRecord((0,), tuple(mode.checks), Coverage()), "fp32").violations


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "compare",
    [
        *(lambda x: x > 0.1, lambda x: x >= 0.1, lambda x: x < 0.1, lambda x: x <= 0.1, lambda x: x == 0.1),
        *(lambda x: x > torch.tensor(0.1, dtype=torch.float32), lambda x: x != torch.tensor(0.1, dtype=torch.float64)),
        lambda x: x.clone().gt_(0.1),
    ],
)
def test_what_lies_on_the_number_is_not_above_it(dtype, compare):
    x = torch.tensor([0.1, 0.3, 0.0, 0.1], dtype=dtype)
    assert violations(compare, x) == ()


def test_a_comparison_that_is_wrong_is_called(wrong):
    with wrong("gt", lambda out, *_: ~out):
        assert violations(lambda x: x > 0.1, torch.tensor([0.1, 0.3]))
