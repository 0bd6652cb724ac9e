"""Attention with few keys: the form that ANN's pyramid blocks and OCR's object attention share.

Source: Wang et al., "Non-local Neural Networks" (1711.07971), eq. 1–3 (embedded Gaussian), scaled by 1/√C as in Vaswani
et al. (1706.03762), eq. 1. A query of every pixel meets S keys, S far below the number of pixels: pooled ones in ANN,
classes in OCR.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["attend"]


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(queryᵀ · key / √C) · valueᵀ for each pixel.

    Args:
        query: (N, C, H, W).
        key: (N, C, S).
        value: (N, D, S).

    Returns:
        (N, D, H, W).
    """
    n, channels, height, width = query.shape
    # The small operand takes the scale, and pixels stay the last axis: no copy of query or context is made.
    affinity = torch.bmm((key * channels**-0.5).transpose(1, 2), query.flatten(2))  # (N, S, HW)
    context = torch.bmm(value, affinity.softmax(dim=1))  # (N, D, HW)
    return context.view(n, -1, height, width)
