"""ANN: asymmetric non-local attention, whose keys and values are a pyramid of pooled pixels.

Source: Zhu et al., "Asymmetric Non-local Neural Networks for Semantic Segmentation" (1908.07678).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.values.errors import ModelError
from models.head import DecodeHead
from models.layers import ConvModule, kaiming_init
from models.nonlocal_attention import attend
from models.registry import MODELS

__all__ = ["AFNB", "APNB", "ANNHead", "AsymmetricAttention", "pyramid"]


def pyramid(x: Tensor, bins: Sequence[int]) -> Tensor:
    """Spatial pyramid pooling: what stands for the whole map (section 3.2, eq. 8).

    Args:
        x: (N, C, H, W).
        bins: the sides of the pooled grids; (1, 3, 6, 8) keeps S = 110 anchors.

    Returns:
        (N, C, S), S = Σ binsᵢ².

    Raises:
        ModelError: the map is smaller than the largest bin.
    """
    if min(x.shape[2:]) < max(bins):
        raise ModelError(
            "the feature map is smaller than the pyramid's bins",
            where="decode_head.key_pool_scales",
            observed=f"bins {tuple(bins)} on a map of {x.shape[2]}×{x.shape[3]}",
            allowed=f"bins up to {min(x.shape[2:])}",
            hint="train on larger crops, or with smaller bins",
        )
    return torch.cat([F.adaptive_avg_pool2d(x, side).flatten(2) for side in bins], dim=2)


class AsymmetricAttention(nn.Module):
    """One asymmetric non-local unit: queries from each pixel, keys and values from the pyramid (eq. 5–9).

    Args:
        query_channels: channels of the features that are asked for.
        key_channels: channels of the features that answer.
        channels: Ĉ, of queries, keys and values.
        out_channels: of the context.
        bins: the pyramid's.
        shared: one projection for queries and keys, where both come from one map (section 3.4).
    """

    def __init__(
        self,
        query_channels: int,
        key_channels: int,
        channels: int,
        out_channels: int,
        *,
        bins: Sequence[int],
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.key_project = ConvModule(key_channels, channels)
        self.query_project = self.key_project if shared else ConvModule(query_channels, channels)
        self.value_project = nn.Conv2d(key_channels, channels, 1)
        self.out_project = nn.Conv2d(channels, out_channels, 1)
        self.bins = tuple(bins)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Query (N, query_channels, H, W) and key (N, key_channels, h, w) → context (N, out_channels, H, W)."""
        phi = self.query_project(query)  # (N, Ĉ, H, W)
        theta = pyramid(self.key_project(key), self.bins)  # (N, Ĉ, S)
        gamma = pyramid(self.value_project(key), self.bins)  # (N, Ĉ, S)
        return self.out_project(attend(phi, theta, gamma))  # type: ignore[no-any-return]


class AFNB(nn.Module):
    """Asymmetric fusion non-local block: the high stage asks the low one (section 3.3).

    Args:
        low_channels: channels of the low stage.
        high_channels: channels of the high stage, and of the output.
        channels: Ĉ, inside the attention.
        bins: the pyramid's.
    """

    def __init__(self, low_channels: int, high_channels: int, channels: int, bins: Sequence[int]) -> None:
        super().__init__()
        attention = AsymmetricAttention(high_channels, low_channels, channels, high_channels, bins=bins)
        self.stages = nn.ModuleList([attention])  # a list of one: the checkpoints' keys have an index
        self.bottleneck = ConvModule(2 * high_channels, high_channels, act=False)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Low (N, low_channels, h, w), high (N, high_channels, H, W) → (N, high_channels, H, W)."""
        context = self.stages[0](high, low)
        return self.bottleneck(torch.cat([context, high], dim=1))  # type: ignore[no-any-return]


class APNB(nn.Module):
    """Asymmetric pyramid non-local block: a map asks itself (section 3.2).

    Args:
        in_channels: of the map, and of the output.
        channels: Ĉ, inside the attention.
        bins: the pyramid's.
    """

    def __init__(self, in_channels: int, channels: int, bins: Sequence[int]) -> None:
        super().__init__()
        attention = AsymmetricAttention(in_channels, in_channels, channels, in_channels, bins=bins, shared=True)
        self.stages = nn.ModuleList([attention])
        self.bottleneck = ConvModule(2 * in_channels, in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → the same."""
        context = self.stages[0](x, x)
        return self.bottleneck(torch.cat([context, x], dim=1))  # type: ignore[no-any-return]


@MODELS.register_module()
class ANNHead(DecodeHead):
    """Fuse the last two stages, reduce, let every pixel see the pyramid, classify (figure 2).

    Args:
        in_channels: of the low and of the high stage.
        channels: of the reduced features.
        project_channels: Ĉ, inside both attentions.
        key_pool_scales: the pyramid's bins.
        **settings: as of `DecodeHead`.

    Raises:
        ModelError: not two stages.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        *,
        project_channels: int,
        key_pool_scales: Sequence[int] = (1, 3, 6, 8),
        **settings: Any,
    ) -> None:
        super().__init__(in_channels, channels, input_transform="multiple_select", **settings)
        if len(self.feature_channels) != 2:
            raise ModelError(
                "ANN fuses two stages", where="ANNHead.in_channels", observed=in_channels, allowed="two numbers"
            )
        low_channels, high_channels = self.feature_channels
        self.fusion = AFNB(low_channels, high_channels, project_channels, key_pool_scales)
        self.bottleneck = ConvModule(high_channels, channels, 3)
        self.context = APNB(channels, project_channels, key_pool_scales)
        kaiming_init(self)
        for block in (*self.fusion.stages, *self.context.stages):
            nn.init.zeros_(block.out_project.weight)  # both blocks start as the identity of their features
        self.init_classifier()

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The backbone's features → logits (N, num_classes, h, w)."""
        low, high = self.select(features)
        x = self.dropout(self.fusion(low, high))
        return self.classify(self.context(self.bottleneck(x)))
