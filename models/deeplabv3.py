"""DeepLabV3: convolutions of several dilations beside the image's mean.

Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation" (1706.05587), section 3.3 and
figure 5; dilations of 12, 24 and 36 for an output stride of 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.head import DecodeHead
from models.layers import ConvModule, kaiming_init, resize
from models.registry import MODELS

__all__ = ["ASPPHead"]


@MODELS.register_module()
class ASPPHead(DecodeHead):
    """Atrous spatial pyramid pooling over the last stage, a 3×3 convolution, the classifier.

    Args:
        in_channels: of the selected features.
        channels: of each branch and of the convolution.
        dilations: of the branches; 1 is a 1×1 convolution.
        **settings: as of `DecodeHead`.
    """

    def __init__(
        self, in_channels: int, channels: int, *, dilations: Sequence[int] = (1, 12, 24, 36), **settings: Any
    ) -> None:
        super().__init__(in_channels, channels, **settings)
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(in_channels, channels))
        self.aspp_modules = nn.ModuleList(self.branch(in_channels, channels, dilation) for dilation in dilations)
        self.bottleneck = ConvModule((len(dilations) + 1) * channels, channels, 3)
        self.build_decoder(channels)
        kaiming_init(self)
        self.init_classifier()

    def branch(self, in_channels: int, channels: int, dilation: int) -> nn.Module:
        """The branch of one dilation."""
        return ConvModule(in_channels, channels, 1 if dilation == 1 else 3, dilation=dilation)

    def build_decoder(self, channels: int) -> None:
        """Add what follows the pyramid: nothing."""

    def pyramid(self, features: Sequence[Tensor]) -> Tensor:
        """The backbone's features → (N, channels, h, w)."""
        x = self.select_one(features)
        size = (x.shape[2], x.shape[3])
        mean = resize(self.image_pool(x), size, align_corners=self.align_corners)
        return self.bottleneck(torch.cat([mean, *(branch(x) for branch in self.aspp_modules)], dim=1))  # type: ignore[no-any-return]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The backbone's features → logits (N, num_classes, h, w)."""
        return self.classify(self.pyramid(features))
