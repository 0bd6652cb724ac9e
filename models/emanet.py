"""EMANet: attention as expectation–maximization over a few bases.

Source: Li et al., "Expectation-Maximization Attention Networks for Semantic Segmentation" (1907.13426), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from harness.values.errors import ModelError
from models.head import DecodeHead
from models.layers import ConvModule, kaiming_init
from models.registry import MODELS

__all__ = ["EMAHead", "EMAModule"]


class EMAModule(nn.Module):
    """Reconstruct a map from the K bases that explain it best (section 3.2).

    Args:
        channels: C of the map.
        num_bases: K.
        num_stages: T, how often responsibilities and bases are refined in turn.
        momentum: share of a batch's bases in the running ones.
    """

    bases: Tensor

    def __init__(self, channels: int, num_bases: int, num_stages: int, momentum: float) -> None:
        super().__init__()
        self.num_stages = num_stages
        self.momentum = momentum
        self.register_buffer("bases", F.normalize(torch.randn(1, channels, num_bases), dim=1))

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) → the same; no gradient passes."""
        x = features.flatten(2)  # (N, C, HW)
        mu = self.bases.to(x.dtype).expand(len(x), -1, -1)  # (N, C, K)
        for _ in range(self.num_stages):
            z = torch.bmm(mu.transpose(1, 2), x).softmax(dim=1)  # (N, K, HW), E-step, eq. 5
            # M-step, eq. 6: the mean of the pixels, weighted by responsibility; then length 1 (section 3.3).
            mu = F.normalize(torch.bmm(x, z.transpose(1, 2)) / z.sum(dim=2).unsqueeze(1), dim=1)
        if self.training:
            self._learn(mu.mean(dim=0, keepdim=True))
        return torch.bmm(mu, z).view_as(features)  # eq. 7

    def _learn(self, mu: Tensor) -> None:
        """Move the running bases towards a batch's, the mean over all ranks (section 3.4, eq. 9)."""
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(mu.div_(dist.get_world_size()))
        self.bases.mul_(1 - self.momentum).add_(F.normalize(mu, dim=1), alpha=self.momentum)


@MODELS.register_module()
class EMAHead(DecodeHead):
    """Reduce, add the reconstruction from the bases, convolve, look at the input again, classify (figure 2).

    The convolution between reduction and bases takes the map from (0, ∞) to (−∞, ∞). It stays as it started: no
    gradient reaches it, as none passes the bases.

    Args:
        in_channels: of the selected features.
        channels: of the features that are classified.
        ema_channels: C of the reconstructed map.
        num_bases: K.
        num_stages: T.
        momentum: of the running bases.
        concat_input: whether a last convolution sees the head's input beside the features.
        **settings: as of `DecodeHead`.

    Raises:
        ModelError: there is no stage.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        ema_channels: int,
        num_bases: int,
        num_stages: int,
        momentum: float = 0.1,
        concat_input: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(in_channels, channels, **settings)
        if num_stages < 1:
            raise ModelError("no stage", where="EMAHead.num_stages", observed=num_stages, allowed="1 or more")
        self.ema_module = EMAModule(ema_channels, num_bases, num_stages, momentum)
        self.ema_in_conv = ConvModule(self.in_channels, ema_channels, 3)
        self.ema_mid_conv = ConvModule(ema_channels, ema_channels, norm=False, act=False).requires_grad_(False)
        self.ema_out_conv = ConvModule(ema_channels, ema_channels, act=False)
        self.bottleneck = ConvModule(ema_channels, channels, 3)
        self.conv_cat = ConvModule(self.in_channels + channels, channels, 3) if concat_input else None
        kaiming_init(self)
        self.init_classifier()

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The backbone's features → logits (N, num_classes, h, w)."""
        x = self.select_one(features)  # (N, in_channels, h, w)
        reduced = self.ema_in_conv(x)  # (N, C, h, w)
        with torch.no_grad():
            recon = self.ema_module(self.ema_mid_conv(reduced)).relu_()
        out = self.bottleneck(F.relu(reduced + self.ema_out_conv(recon), inplace=True))
        return self.classify(out if self.conv_cat is None else self.conv_cat(torch.cat([x, out], dim=1)))
