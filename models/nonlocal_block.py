"""The non-local block that lean attention is measured against: every pixel attends to every pixel.

Source: Wang et al., "Non-local Neural Networks" (1711.07971), section 3.3, embedded Gaussian; in the two forms that
CCNet and ANN compare themselves with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["NonLocal"]


class NonLocal(nn.Module):
    """x ↦ x + W · softmax(queryᵀ · key) · value.

    Args:
        channels: C of the map.
        key_channels: of queries and keys.
        value_channels: of values; where they differ from C, a last 1×1 convolution W brings them back.
    """

    def __init__(self, channels: int, key_channels: int, value_channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, key_channels, 1)
        self.key = nn.Conv2d(channels, key_channels, 1)
        self.value = nn.Conv2d(channels, value_channels, 1)
        self.out = nn.Conv2d(value_channels, channels, 1) if value_channels != channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same; the affinity has (H · W)² numbers."""
        n, _, height, width = x.shape
        query, key, value = (conv(x).flatten(2) for conv in (self.query, self.key, self.value))
        affinity = torch.bmm(query.transpose(1, 2), key).softmax(dim=2)  # (N, HW, HW)
        context = torch.bmm(value, affinity.transpose(1, 2))  # (N, value_channels, HW)
        return x + self.out(context.view(n, -1, height, width))  # type: ignore[no-any-return]
