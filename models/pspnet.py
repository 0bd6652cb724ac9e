"""PSPNet: context from a pyramid of pooled maps.

Source: Zhao et al., "Pyramid Scene Parsing Network" (1612.01105), section 3.2 and figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.head import DecodeHead
from models.layers import ConvModule, kaiming_init, resize
from models.registry import MODELS

__all__ = ["PSPHead", "PyramidPooling"]


class PyramidPooling(nn.ModuleList):
    """A map averaged to s × s for each scale s, projected, and resized back.

    Args:
        in_channels: of the map.
        channels: of each scale's result.
        scales: s of each.
        align_corners: of the resizing.
    """

    def __init__(self, in_channels: int, channels: int, scales: Sequence[int], *, align_corners: bool) -> None:
        super().__init__(
            nn.Sequential(nn.AdaptiveAvgPool2d(scale), ConvModule(in_channels, channels)) for scale in scales
        )
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) → the map itself and each scale's, concatenated along the channels."""
        size = (x.shape[2], x.shape[3])
        return torch.cat([x, *(resize(pool(x), size, align_corners=self.align_corners) for pool in self)], dim=1)


@MODELS.register_module()
class PSPHead(DecodeHead):
    """The pyramid over the last stage, a 3×3 convolution, the classifier.

    Args:
        in_channels: of the selected features.
        channels: of each scale and of the convolution.
        pool_scales: sides of the pooled maps.
        **settings: as of `DecodeHead`.
    """

    def __init__(
        self, in_channels: int, channels: int, *, pool_scales: Sequence[int] = (1, 2, 3, 6), **settings: Any
    ) -> None:
        super().__init__(in_channels, channels, **settings)
        self.psp_modules = PyramidPooling(in_channels, channels, pool_scales, align_corners=self.align_corners)
        self.bottleneck = ConvModule(in_channels + len(pool_scales) * channels, channels, 3)
        kaiming_init(self)
        self.init_classifier()

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The backbone's features → logits (N, num_classes, h, w)."""
        return self.classify(self.bottleneck(self.psp_modules(self.select_one(features))))
