"""UPerNet: a feature pyramid under a pooled pyramid.

Source: Xiao et al., "Unified Perceptual Parsing for Scene Understanding" (1807.10221), section 3.1 and figure 4; the
part of it that segments scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.head import DecodeHead
from models.layers import ConvModule, kaiming_init, resize
from models.pspnet import PyramidPooling
from models.registry import MODELS

__all__ = ["UPerHead"]


@MODELS.register_module()
class UPerHead(DecodeHead):
    """All stages, from the coarsest down: each is added to the one below; all are classified together.

    Args:
        in_channels: of the selected stages, from fine to coarse.
        channels: of every level of the pyramid.
        pool_scales: sides of the maps that the coarsest stage is pooled to.
        **settings: as of `DecodeHead`; `input_transform` is "multiple_select".
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, *, pool_scales: Sequence[int] = (1, 2, 3, 6), **settings: Any
    ) -> None:
        super().__init__(in_channels, channels, input_transform="multiple_select", **settings)
        *lower, top = self.feature_channels
        self.psp_modules = PyramidPooling(top, channels, pool_scales, align_corners=self.align_corners)
        self.bottleneck = ConvModule(top + len(pool_scales) * channels, channels, 3)
        self.lateral_convs = nn.ModuleList(ConvModule(width, channels) for width in lower)
        self.fpn_convs = nn.ModuleList(ConvModule(channels, channels, 3) for _ in lower)
        self.fpn_bottleneck = ConvModule(len(self.feature_channels) * channels, channels, 3)
        kaiming_init(self)
        self.init_classifier()

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The backbone's features → logits (N, num_classes, h, w), at the finest stage's resolution."""
        *lower, top = self.select(features)
        levels = [lateral(x) for lateral, x in zip(self.lateral_convs, lower, strict=True)]
        levels.append(self.bottleneck(self.psp_modules(top)))
        for finer in range(len(levels) - 2, -1, -1):
            levels[finer] = levels[finer] + self._resized(levels[finer + 1], levels[finer])
        smoothed = [conv(level) for conv, level in zip(self.fpn_convs, levels, strict=False)]
        smoothed.append(levels[-1])
        return self.classify(self.fpn_bottleneck(torch.cat([self._resized(x, smoothed[0]) for x in smoothed], dim=1)))

    def _resized(self, x: Tensor, like: Tensor) -> Tensor:
        return resize(x, (like.shape[2], like.shape[3]), align_corners=self.align_corners)
