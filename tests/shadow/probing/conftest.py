"""Calls alone, and devices that compute some of them wrongly."""

import pytest
import torch

from harness.shadow.probing.lone_call import Asking, LoneCall

aten = torch.ops.aten


@pytest.fixture
def convolution():
    """A convolution, with what is given changed."""

    def make(**changes):
        torch.manual_seed(0)
        given = {
            "input": torch.randn(2, 6, 11, 13),
            "weight": torch.randn(5, 6, 3, 3),
            "bias": None,
            "stride": [1, 1],
            "padding": [1, 1],
            "dilation": [1, 1],
            "transposed": False,
            "output_padding": [0, 0],
            "groups": 1,
        }
        return LoneCall.of(aten.convolution.default, **given | changes)

    return make


@pytest.fixture
def asking():
    """Asks the host, which is wrong where a test puts something between."""
    return Asking("cpu", "fp32")
