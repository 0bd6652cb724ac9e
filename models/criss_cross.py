"""Criss-cross attention: every pixel attends to its row and its column, H + W − 1 pixels in all.

Source: Huang et al., "CCNet: Criss-Cross Attention for Semantic Segmentation" (1811.11721), section 3.2, eq. 1 and 2.

The affinity has H · W · (H + W) numbers, and it is the only thing of that size that is ever held: rows and columns are
strided views of one map whose channels lie innermost, which matrix multiplication reads as they are.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["CrissCrossAttention", "criss_cross"]


class CrissCrossAttention(nn.Module):
    """x ↦ x + γ · (context of each pixel's row and column).

    Args:
        channels: C of the map; queries and keys have C / 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query_conv = nn.Conv2d(channels, channels // 8, 1)
        self.key_conv = nn.Conv2d(channels, channels // 8, 1)
        self.value_conv = nn.Conv2d(channels, channels, 1)
        self.gamma = Gamma()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same."""
        x = x.contiguous(memory_format=torch.channels_last)
        value = self.value_conv
        return criss_cross(x, self.query_conv(x), self.key_conv(x), value.weight, value.bias, self.gamma.scale)


class Gamma(nn.Module):
    """A learned factor that starts at 0, under the name that OpenMMLab's checkpoints give it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))


def criss_cross(x: Tensor, query: Tensor, key: Tensor, weight: Tensor, bias: Tensor | None, gamma: Tensor) -> Tensor:
    """Add to each pixel the context of its row and column: x + γ · Σⱼ softmaxⱼ(queryᵀ · keyⱼ) · valueⱼ.

    The pixel itself counts once.
    Nothing of x's size is kept for the backward pass but x itself: values are projected again, and the gradient of γ
    comes from the affinity's.

    Args:
        x: (N, C, H, W).
        query: (N, D, H, W).
        key: (N, D, H, W).
        weight: (C, C, 1, 1), of the projection of x to values.
        bias: (C), of it, or None.
        gamma: a scalar.

    Returns:
        (N, C, H, W), its channels innermost in memory.
    """
    out: Tensor = _CrissCross.apply(x, query, key, weight, bias, gamma)  # type: ignore[no-untyped-call]
    return out


class _CrissCross(torch.autograd.Function):
    """Sample by sample, so that rows and columns of one (H, W, C) map are plain 3-d views."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, query: Tensor, key: Tensor, weight: Tensor, bias: Tensor | None, gamma: Tensor
    ) -> Tensor:
        x, query, key = _inner(x), _inner(query), _inner(key)
        value = _project(x, weight, bias, query.dtype)
        affinity = torch.stack([_affinity(q, k) for q, k in zip(query, key, strict=True)])
        out = torch.empty_like(value)
        for i in range(len(out)):
            _gather(affinity[i], value[i], out[i])
        ctx.save_for_backward(x, query, key, weight, bias, gamma, affinity)
        return out.mul_(gamma).add_(x).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, query, key, weight, bias, gamma, affinity = ctx.saved_tensors
        grad = _inner(grad).to(query.dtype)
        # The gradient of ⟨grad, context⟩ by the affinity; through the softmax, in place, it becomes the energies'.
        slope = torch.stack([_pair(g, v) for g, v in zip(grad, _project(x, weight, bias, query.dtype), strict=True)])
        row_sums = torch.linalg.vecdot(slope, affinity).unsqueeze(-1)  # their sum is ⟨grad, context⟩, γ's gradient
        slope.sub_(row_sums).mul_(affinity).mul_(gamma)
        grad_query, grad_key, grad_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(grad)
        for i in range(len(x)):
            _gather(slope[i], key[i], grad_query[i])
            _scatter(slope[i], query[i], grad_key[i])
            _scatter(affinity[i], grad[i], grad_value[i])
        del slope
        pixels = grad_value.mul_(gamma).flatten(0, 2)
        grad_x = torch.addmm(grad.flatten(0, 2), pixels, weight.flatten(1).to(pixels.dtype)).view(x.shape)
        grad_weight = torch.mm(pixels.t(), x.flatten(0, 2).to(pixels.dtype)).view(weight.shape)
        return (
            grad_x.to(x.dtype).permute(0, 3, 1, 2),
            grad_query.permute(0, 3, 1, 2),
            grad_key.permute(0, 3, 1, 2),
            grad_weight.to(weight.dtype),
            None if bias is None else pixels.sum(0).to(bias.dtype),
            row_sums.sum(dtype=gamma.dtype),
        )


def _inner(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N, H, W, C), contiguous; no copy where the channels lie innermost already."""
    return x.permute(0, 2, 3, 1).contiguous()


def _project(x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The 1×1 convolution of a map whose channels lie innermost: one matrix product."""
    return F.linear(x.to(dtype), weight.flatten(1).to(dtype), None if bias is None else bias.to(dtype))


def _affinity(query: Tensor, key: Tensor) -> Tensor:
    """Softmax over each pixel's column and row: (H, W, D) twice → (H, W, H + W)."""
    energy = _pair(query, key)
    height = query.shape[0]
    # The pixel is in its row already: without this, it would count twice (section 3.2: H + W − 1).
    energy[..., :height].diagonal(dim1=0, dim2=2).fill_(float("-inf"))
    wide = torch.promote_types(energy.dtype, torch.float32)
    return energy.softmax(dim=-1, dtype=wide).to(energy.dtype)


def _pair(a: Tensor, b: Tensor) -> Tensor:
    """Products of each pixel of `a` with its column and row of `b`: (H, W, C) twice → (H, W, H + W)."""
    height, width, _ = a.shape
    out = a.new_empty(height, width, height + width)
    out[..., :height] = torch.bmm(a.transpose(0, 1), b.permute(1, 2, 0)).transpose(0, 1)
    out[..., height:] = torch.bmm(a, b.transpose(1, 2))
    return out


def _gather(weights: Tensor, source: Tensor, out: Tensor) -> None:
    """Sums of each pixel's column and row of `source`: (H, W, H + W) and (H, W, C) → out (H, W, C)."""
    height = weights.shape[0]
    out.copy_(torch.bmm(weights[..., height:], source))
    out.transpose(0, 1).add_(torch.bmm(weights[..., :height].transpose(0, 1), source.transpose(0, 1)))


def _scatter(weights: Tensor, source: Tensor, out: Tensor) -> None:
    """The transpose of `_gather`: what each pixel gives to its column and row."""
    height = weights.shape[0]
    out.copy_(torch.bmm(weights[..., height:].transpose(1, 2), source))
    out.transpose(0, 1).add_(torch.bmm(weights[..., :height].permute(1, 2, 0), source.transpose(0, 1)))
