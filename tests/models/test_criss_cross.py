"""Criss-cross attention against its definition, pixel by pixel."""

import pytest
import torch

from models.criss_cross import CrissCrossAttention


def _module(channels=16, gamma=0.7, dtype=torch.float64):
    torch.manual_seed(0)
    module = CrissCrossAttention(channels).to(dtype)
    module.gamma.scale.data.fill_(gamma)
    return module


def _by_definition(module, x):
    """x + γ · context, where each pixel's context is gathered in a loop (1811.11721, eq. 1 and 2)."""
    query, key, value = module.query_conv(x), module.key_conv(x), module.value_conv(x)
    n, _, height, width = x.shape
    rows = []
    for b, h, w in ((b, h, w) for b in range(n) for h in range(height) for w in range(width)):
        cross = [(h, j) for j in range(width)] + [(i, w) for i in range(height) if i != h]
        keys = torch.stack([key[b, :, i, j] for i, j in cross])
        values = torch.stack([value[b, :, i, j] for i, j in cross])
        rows.append(torch.softmax(keys @ query[b, :, h, w], dim=0) @ values)
    context = torch.stack(rows).view(n, height, width, -1).permute(0, 3, 1, 2)
    return x + module.gamma.scale * context


@pytest.mark.parametrize("size", [(1, 16, 5, 7), (2, 16, 7, 4), (2, 8, 1, 6), (1, 8, 6, 1), (3, 8, 1, 1)])
def test_output_and_gradients_are_those_of_the_definition(size):
    module = _module(size[1])
    x = torch.randn(size, dtype=torch.float64)
    grad = torch.randn(size, dtype=torch.float64)
    results = []
    for compute in (module, lambda x: _by_definition(module, x)):
        leaf = x.clone().requires_grad_()
        out = compute(leaf)
        module.zero_grad()
        out.backward(grad)
        results.append([out.detach(), leaf.grad, *(p.grad.clone() for p in module.parameters())])
    for ours, expected in zip(*results, strict=True):
        assert torch.allclose(ours, expected, rtol=1e-10, atol=1e-12)


def test_the_gradient_is_that_of_the_output():
    module = _module(8)
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: module(x), (x, *module.parameters()))


def test_the_layout_of_the_input_does_not_matter():
    module = _module()
    x = torch.randn(2, 16, 6, 5, dtype=torch.float64)
    strided = torch.randn(2, 16, 6, 10, dtype=torch.float64)[..., ::2].copy_(x)
    for other in (x.contiguous(memory_format=torch.channels_last), strided):
        assert torch.allclose(module(other), module(x), rtol=1e-13, atol=0)


def test_a_gradient_of_strides_zero_is_taken():
    module = _module()
    x = torch.randn(2, 16, 4, 4, dtype=torch.float64, requires_grad=True)
    module(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_autocast_computes_in_half_and_trains_in_single():
    module = _module(16, dtype=torch.float32)
    x = torch.randn(2, 16, 6, 5, requires_grad=True)
    exact = module(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = module(x)
    out.float().square().mean().backward()
    assert torch.allclose(out.float(), exact, atol=0.05)
    assert x.grad.dtype == torch.float32
    assert module.value_conv.weight.grad.dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())


def test_the_backward_pass_can_be_run_twice():
    module = _module()
    x = torch.randn(1, 16, 4, 5, dtype=torch.float64, requires_grad=True)
    out = module(x).square().sum()
    first = torch.autograd.grad(out, x, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(out, x)[0], first)
