"""Attention with few keys, the pyramid, the objects and the bases, against their definitions."""

import pytest
import torch
import torch.nn.functional as F

from harness.values.errors import ModelError
from models.ann import pyramid
from models.emanet import EMAModule
from models.nonlocal_attention import attend
from models.ocrnet import gather_objects


def test_attention_is_a_softmax_over_the_keys():
    query, key, value = (torch.randn(s, dtype=torch.float64) for s in ((2, 4, 3, 5), (2, 4, 6), (2, 7, 6)))
    weights = torch.einsum("nchw,ncs->nhws", query, key).div(2.0).softmax(dim=-1)
    assert torch.allclose(attend(query, key, value), torch.einsum("nhws,nds->ndhw", weights, value), rtol=1e-12)


def test_the_pyramid_keeps_110_anchors():
    x = torch.randn(2, 3, 8, 16)
    pooled = pyramid(x, (1, 3, 6, 8))
    assert pooled.shape == (2, 3, 110)
    assert torch.allclose(pooled[:, :, 0], x.mean(dim=(2, 3)), atol=1e-6)


def test_a_map_smaller_than_the_bins_is_refused():
    with pytest.raises(ModelError, match="7×16") as error:
        pyramid(torch.randn(1, 3, 7, 16), (1, 3, 6, 8))
    assert error.value.allowed == "bins up to 7"


def test_an_object_is_the_mean_of_its_pixels():
    features = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    logits = torch.full((2, 3, 3, 4), -1e9, dtype=torch.float64)
    logits[:, 1, 2, 3] = 0.0  # class 1 is one pixel; no pixel is more likely in class 0 or 2 than any other
    objects = gather_objects(features, logits)
    assert torch.allclose(objects[:, :, 1], features[:, :, 2, 3])
    assert torch.allclose(objects[:, :, 0], features.mean(dim=(2, 3)))


def test_bases_move_in_training_alone_and_no_gradient_passes():
    torch.manual_seed(0)
    module = EMAModule(6, 4, 3, momentum=0.1)
    x = torch.randn(2, 6, 5, 5, requires_grad=True)
    before = module.bases.clone()
    module.eval()(x)
    assert torch.equal(module.bases, before)
    assert not module.train()(x).requires_grad
    assert not torch.equal(module.bases, before)
    assert module.bases.shape == before.shape


def test_bases_are_refined_as_the_paper_says():
    torch.manual_seed(0)
    module = EMAModule(6, 4, 2, momentum=0.25).double()
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    start, pixels = module.bases.clone(), x.flatten(2).transpose(1, 2)  # (N, HW, C)
    mu = start.expand(2, -1, -1)
    for _ in range(2):
        z = (pixels @ mu).softmax(dim=2)
        mu = F.normalize((pixels.transpose(1, 2) @ z) / z.sum(dim=1, keepdim=True), dim=1)
    out = module(x)
    assert torch.allclose(out.flatten(2), mu @ z.transpose(1, 2), rtol=1e-12)
    assert torch.allclose(module.bases, 0.75 * start + 0.25 * F.normalize(mu.mean(0, keepdim=True), dim=1), rtol=1e-12)
