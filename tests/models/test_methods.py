"""Heads and a backbone without a whole record, at small widths, against what mmsegmentation 1.2.2's own code computes.

`tests/data/mmseg/methods_small.npz` holds that, in float64: its `ASPPHead`, `DepthwiseSeparableASPPHead`, `PSAHead` and
`BiSeNetV1`, in evaluation mode, with mmcv's compiled mask of PSANet replaced by loops over its definition. Weights are
drawn by name, as in the other records, under the prefix of the method.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.bisenetv1 import BiSeNetV1
from models.deeplabv3 import ASPPHead
from models.deeplabv3plus import DepthwiseSeparableASPPHead
from models.encnet import PresenceLoss
from models.psanet import PSAHead, attention_map

RECORD = Path(__file__).parent.parent / "data" / "mmseg" / "methods_small.npz"


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORD) as arrays:
        return dict(arrays)


class _Named(nn.Module):
    """A module under a name, so that its weights are drawn by the record's names."""

    def __init__(self, name, module):
        super().__init__()
        self.add_module(name, module)


def features(odd):
    rng = np.random.RandomState(0)
    fine, coarse = ((17, 33), (9, 17)) if odd else ((16, 32), (8, 16))
    sizes = [(8, *fine), (16, *coarse), (24, *coarse), (32, *coarse)]
    return [torch.from_numpy(np.maximum(rng.standard_normal((2, *size)), 0)) for size in sizes]


def assert_same(ours, theirs):
    assert ours.shape == theirs.shape
    assert np.abs(ours.numpy() - theirs).max() <= 1e-12 * np.abs(theirs).max()


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("deeplabv3", ASPPHead, {"dilations": (1, 2, 3, 5)}),
        (
            "deeplabv3plus",
            DepthwiseSeparableASPPHead,
            {"dilations": (1, 2, 3, 5), "c1_in_channels": 8, "c1_channels": 4},
        ),
        ("psanet", PSAHead, {"mask_size": (5, 7), "shrink_factor": 2}),
    ],
)
def test_a_head_computes_what_the_field_s_does(name, kind, settings, odd, fill, recorded):
    head = kind(32, 8, in_index=3, num_classes=19, align_corners=odd, **settings)
    fill(_Named(name, head)).eval()
    with torch.no_grad():
        assert_same(head(features(odd)), recorded[f"{name}_odd" if odd else name])


@pytest.mark.parametrize("odd", [False, True])
def test_bisenet_computes_what_the_field_s_does(odd, fill, recorded):
    backbone = BiSeNetV1(
        {"type": "ResNet", "depth": 18, "base_channels": 8, "stem_channels": 8, "strides": (1, 2, 2, 2),
         "dilations": (1, 1, 1, 1)},
        spatial_channels=(8, 8, 8, 16),
        context_channels=(16, 32, 64),
        out_channels=24,
    )  # fmt: skip
    fill(_Named("bisenetv1", backbone)).eval()
    size = (97, 129) if odd else (64, 128)
    images = torch.from_numpy(np.random.RandomState(1).standard_normal((2, 3, *size)))
    with torch.no_grad():
        for number, given in enumerate(backbone(images)):
            assert_same(given, recorded[f"bisenetv1{'_odd' if odd else ''}_{number}"])


def test_a_mask_reaches_what_lies_within_it():
    """At a position, the mask's middle is the position itself; what lies beyond its edge is 0."""
    masks = torch.arange(1.0, 1 + 9 * 12).reshape(1, 9, 3, 4)
    attention = attention_map(masks, (3, 3)).reshape(3, 4, 3, 4)
    assert attention[1, 2, 1, 2] == masks[0, 4, 1, 2]
    assert attention[0, 1, 1, 2] == masks[0, 0, 1, 2]
    assert attention[2, 3, 1, 2] == masks[0, 8, 1, 2]
    assert attention[1, 0, 1, 2] == 0


def test_presence_is_of_classes_that_have_a_pixel():
    labels = torch.tensor([[[0, 0], [2, 255]], [[255, 255], [255, 255]]])
    sure = torch.full((2, 3), -40.0)
    sure[0, 0] = sure[0, 2] = 40.0
    assert PresenceLoss(1.0)(sure, labels).item() < 1e-12
    assert PresenceLoss(0.5)(torch.zeros(2, 3), labels).item() == pytest.approx(0.5 * np.log(2))
