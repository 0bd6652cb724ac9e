"""BiSeNet: a shallow path that keeps detail beside a deep one that sees far.

Source: Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation" (1808.00897), section 3
and figure 2. As in the field, the fusion's attention has a norm and no second convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import ConvModule, kaiming_init
from models.parts import build_part
from models.registry import MODELS

__all__ = ["BiSeNetV1"]


class SpatialPath(nn.Module):
    """Three convolutions of stride 2, then a 1×1: detail at an eighth of the size."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        first, second, third, last = channels
        self.layer1 = ConvModule(3, first, 7, stride=2)
        self.layer2 = ConvModule(first, second, 3, stride=2)
        self.layer3 = ConvModule(second, third, 3, stride=2)
        self.layer4 = ConvModule(third, last)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) → (N, C, H/8, W/8)."""
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))  # type: ignore[no-any-return]


class AttentionRefinement(nn.Module):
    """Scales each channel of a stage by what its mean says."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv_layer = ConvModule(in_channels, channels, 3)
        self.atten_conv_layer = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), ConvModule(channels, channels, act=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) → (N, channels, h, w)."""
        x = self.conv_layer(x)
        return x * self.atten_conv_layer(x)  # type: ignore[no-any-return]


class ContextPath(nn.Module):
    """A classifier's backbone, its mean added at the coarsest stage, refined and upsampled to an eighth."""

    def __init__(self, backbone: Mapping[str, object], channels: Sequence[int]) -> None:
        super().__init__()
        width, middle, top = channels
        self.backbone = build_part(backbone, "model.backbone.backbone_cfg")
        self.arm16, self.arm32 = AttentionRefinement(middle, width), AttentionRefinement(top, width)
        self.conv_head32, self.conv_head16 = ConvModule(width, width, 3), ConvModule(width, width, 3)
        self.gap_conv = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(top, width))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) → (N, width, H/8, W/8) and (N, width, H/16, W/16)."""
        _, eighth, sixteenth, coarsest = self.backbone(x)
        x32 = self.arm32(coarsest) + self.gap_conv(coarsest)
        x32 = self.conv_head32(F.interpolate(x32, sixteenth.shape[2:], mode="nearest"))
        x16 = self.arm16(sixteenth) + x32
        return self.conv_head16(F.interpolate(x16, eighth.shape[2:], mode="nearest")), x32


class FeatureFusion(nn.Module):
    """Both paths, concatenated; each channel is scaled by one plus what its mean says."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvModule(in_channels, channels)
        self.conv_atten = nn.Sequential(ConvModule(channels, channels), nn.Sigmoid())

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """Two maps of one size → (N, channels, h, w)."""
        x = self.conv1(torch.cat([detail, context], dim=1))
        return x * self.conv_atten(F.adaptive_avg_pool2d(x, 1)) + x  # type: ignore[no-any-return]


@MODELS.register_module()
class BiSeNetV1(nn.Module):
    """Image → the fused features, and the context path's two maps, which auxiliary heads see.

    Args:
        backbone_cfg: config of the context path's backbone, undilated.
        spatial_channels: of the spatial path's four layers.
        context_channels: of the context path's maps, and of its backbone's last two stages.
        out_channels: of the fused features.
    """

    def __init__(
        self,
        backbone_cfg: Mapping[str, object],
        spatial_channels: Sequence[int] = (64, 64, 64, 128),
        context_channels: Sequence[int] = (128, 256, 512),
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        self.context_path = ContextPath(backbone_cfg, context_channels)
        self.spatial_path = SpatialPath(spatial_channels)
        self.ffm = FeatureFusion(spatial_channels[-1] + context_channels[0], out_channels)
        self.out_channels = (out_channels, context_channels[0], context_channels[0])
        for part in (self.spatial_path, self.ffm, *list(self.context_path.children())[1:]):
            kaiming_init(part)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, H, W) → (N, out_channels, H/8, W/8), (N, C, H/8, W/8), (N, C, H/16, W/16)."""
        eighth, sixteenth = self.context_path(x)
        return self.ffm(self.spatial_path(x), eighth), eighth, sixteenth
