"""CCNet: criss-cross attention, run twice, so that every pixel hears of every other.

Source: Huang et al., "CCNet: Criss-Cross Attention for Semantic Segmentation" (1811.11721), figure 2 and section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.values.errors import ModelError
from models.criss_cross import CrissCrossAttention
from models.fcn import FCNHead
from models.registry import MODELS

__all__ = ["CCHead"]


@MODELS.register_module()
class CCHead(FCNHead):
    """Reduce, attend `recurrence` times with one set of weights, convolve, look at the input again, classify.

    Args:
        in_channels: of the selected features.
        channels: C of the attended map.
        recurrence: R; after two, information has passed between any two pixels (section 3.3).
        **settings: as of `FCNHead`.

    Raises:
        ModelError: the channels can't be divided by 8, or there is no attention.
    """

    def __init__(self, in_channels: int, channels: int, *, recurrence: int = 2, **settings: Any) -> None:
        if channels % 8:
            raise ModelError(
                "queries have an eighth of the channels",
                where="CCHead.channels",
                observed=channels,
                allowed="a multiple of 8",
            )
        if recurrence < 1:
            raise ModelError(
                "there is no attention", where="CCHead.recurrence", observed=recurrence, allowed="1 or more"
            )
        super().__init__(in_channels, channels, num_convs=2, **settings)
        self.cca = CrissCrossAttention(channels)
        self.recurrence = recurrence

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The backbone's features → logits (N, num_classes, h, w)."""
        x = self.select_one(features)  # (N, in_channels, h, w)
        out = self.convs[0](x)  # (N, C, h, w)
        for _ in range(self.recurrence):
            out = self.cca(out)
        out = self.convs[1](out)
        return self.classify(out if self.conv_cat is None else self.conv_cat(torch.cat([x, out], dim=1)))
