"""What every backbone and head is made of: a normalised convolution, and resizing."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvModule", "kaiming_init", "resize"]


class ConvModule(nn.Module):
    """Convolution → batch norm → ReLU, under the names that OpenMMLab's checkpoints give them (`conv`, `bn`).

    The convolution has a bias exactly where no norm follows it.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the square kernel; the padding keeps height and width.
        norm: whether a batch norm follows.
        act: whether a ReLU ends it.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 1, *, norm: bool = True, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=not norm)
        self.bn = nn.BatchNorm2d(out_channels) if norm else None
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H, W)."""
        x = self.conv(x)
        if self.bn is not None:
            x = self.bn(x)
        return F.relu(x, inplace=True) if self.act else x


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
