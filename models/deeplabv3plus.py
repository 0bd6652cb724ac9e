"""DeepLabV3+: DeepLabV3 with separable convolutions, and a decoder that sees the first stage.

Source: Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation" (1802.02611),
section 3.1 and figure 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.deeplabv3 import ASPPHead
from models.layers import ConvModule, SeparableConvModule, resize
from models.registry import MODELS

__all__ = ["DepthwiseSeparableASPPHead"]


@MODELS.register_module()
class DepthwiseSeparableASPPHead(ASPPHead):
    """The pyramid, upsampled to the first stage, whose few channels are added; two separable convolutions.

    Args:
        in_channels: of the selected features.
        channels: of the pyramid and of the decoder.
        c1_in_channels: of the backbone's first stage.
        c1_channels: that it is reduced to.
        **settings: as of `ASPPHead`.
    """

    def __init__(
        self, in_channels: int, channels: int, *, c1_in_channels: int, c1_channels: int, **settings: Any
    ) -> None:
        self._c1 = (c1_in_channels, c1_channels)
        super().__init__(in_channels, channels, **settings)

    def branch(self, in_channels: int, channels: int, dilation: int) -> nn.Module:
        """The branch of one dilation: separable, but for the 1×1 convolution."""
        if dilation == 1:
            return super().branch(in_channels, channels, dilation)
        return SeparableConvModule(in_channels, channels, dilation)

    def build_decoder(self, channels: int) -> None:
        """Add what follows the pyramid."""
        given, kept = self._c1
        self.c1_bottleneck = ConvModule(given, kept)
        self.sep_bottleneck = nn.Sequential(
            SeparableConvModule(channels + kept, channels), SeparableConvModule(channels, channels)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The backbone's features → logits (N, num_classes, H/4, W/4)."""
        fine = self.c1_bottleneck(features[0])
        coarse = resize(self.pyramid(features), (fine.shape[2], fine.shape[3]), align_corners=self.align_corners)
        return self.classify(self.sep_bottleneck(torch.cat([coarse, fine], dim=1)))
