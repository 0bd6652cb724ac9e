"""What every backbone and head is made of: a normalised convolution, and resizing."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvModule", "SeparableConvModule", "kaiming_init", "resize"]


class ConvModule(nn.Module):
    """Convolution → batch norm → ReLU, under the names that OpenMMLab's checkpoints give them (`conv`, `bn`).

    The convolution has a bias exactly where no norm follows it.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the square kernel; the padding keeps height and width, at a stride of 1.
        norm: whether a batch norm follows.
        act: whether a ReLU ends it.
        stride: of the convolution.
        dilation: of the convolution.
        groups: of the convolution.
        padding: where it is another than what keeps height and width.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        norm: bool = True,
        act: bool = True,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        padding = kernel_size // 2 * dilation if padding is None else padding
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups=groups, bias=not norm
        )
        self.bn = nn.BatchNorm2d(out_channels) if norm else None
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H / stride, W / stride)."""
        x = self.conv(x)
        if self.bn is not None:
            x = self.bn(x)
        return F.relu(x, inplace=True) if self.act else x


class SeparableConvModule(nn.Module):
    """A 3×3 convolution of each channel by itself, then a 1×1 over channels; each with its norm and ReLU.

    Source: Chen et al., DeepLabV3+ (1802.02611), section 3.1.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        dilation: of the 3×3 convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.depthwise_conv = ConvModule(in_channels, in_channels, 3, dilation=dilation, groups=in_channels)
        self.pointwise_conv = ConvModule(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H, W)."""
        return self.pointwise_conv(self.depthwise_conv(x))  # type: ignore[no-any-return]


def kaiming_init(module: nn.Module) -> None:
    """Start every convolution below `module` as the field does: He-normal by fan-out, biases at 0.

    Source: He et al., 2015 (1502.01852), eq. 14; batch norms start at weight 1 and bias 0 by themselves.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def resize(x: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Bilinear interpolation, (N, C, h, w) → (N, C, *size); no copy of a map that has the size."""
    if x.shape[2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)
