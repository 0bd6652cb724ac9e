"""FCNHead: convolutions and a classifier; the auxiliary head of three models, and the coarse one of OCRNet.

Source: Long et al., "Fully Convolutional Networks" (1411.4038); as an auxiliary head on the third stage: Zhao et al.,
PSPNet (1612.01105), section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from models.head import DecodeHead
from models.layers import ConvModule, kaiming_init
from models.registry import MODELS

__all__ = ["FCNHead"]


@MODELS.register_module()
class FCNHead(DecodeHead):
    """`num_convs` convolutions, then the classifier.

    Args:
        in_channels: of the selected features.
        channels: of the convolutions.
        num_convs: how many.
        kernel_size: of each.
        concat_input: whether a last convolution sees the head's input beside their output.
        **settings: as of `DecodeHead`.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        channels: int,
        *,
        num_convs: int = 2,
        kernel_size: int = 3,
        concat_input: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(in_channels, channels, **settings)
        widths = [self.in_channels] + [channels] * num_convs
        self.convs = nn.Sequential(*(ConvModule(before, after, kernel_size) for before, after in pairwise(widths)))
        self.conv_cat = ConvModule(self.in_channels + widths[-1], channels, kernel_size) if concat_input else None
        kaiming_init(self)
        self.init_classifier()

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The backbone's features → logits (N, num_classes, h, w)."""
        x = self.select_one(features)
        out = self.convs(x)
        return self.classify(out if self.conv_cat is None else self.conv_cat(torch.cat([x, out], dim=1)))
