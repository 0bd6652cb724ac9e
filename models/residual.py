"""The two residual blocks that ResNet and HRNet are made of.

Source: He et al., "Deep Residual Learning for Image Recognition" (1512.03385), section 3.3 and figure 5; the stride
sits on the 3×3 convolution (ResNet v1.5).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BasicBlock", "Bottleneck", "Residual", "stack"]


class Residual(nn.Module):
    """x ↦ ReLU(branch(x) + shortcut(x)).

    Args:
        in_channels: channels of the input.
        channels: width of the branch; the block's output has `channels × expansion`.
        stride: of the block.
        dilation: of its 3×3 convolutions.
    """

    expansion: int

    def __init__(self, in_channels: int, channels: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.build_branch(in_channels, channels, stride, dilation)
        out_channels = channels * self.expansion
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def build_branch(self, in_channels: int, channels: int, stride: int, dilation: int) -> None:
        """Add the branch's layers."""
        raise NotImplementedError

    def branch(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, channels × expansion, H / stride, W / stride)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, channels × expansion, H / stride, W / stride)."""
        out = self.branch(x)
        out += x if self.downsample is None else self.downsample(x)
        return F.relu(out, inplace=True)


class BasicBlock(Residual):
    """Two 3×3 convolutions."""

    expansion = 1

    def build_branch(self, in_channels: int, channels: int, stride: int, dilation: int) -> None:
        """Add the branch's layers."""
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def branch(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, channels, H / stride, W / stride)."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.bn2(self.conv2(x))  # type: ignore[no-any-return]


class Bottleneck(Residual):
    """1×1 down, 3×3, 1×1 up to four times the width."""

    expansion = 4

    def build_branch(self, in_channels: int, channels: int, stride: int, dilation: int) -> None:
        """Add the branch's layers."""
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)

    def branch(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, 4 · channels, H / stride, W / stride)."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        return self.bn3(self.conv3(x))  # type: ignore[no-any-return]


def stack(
    block: type[Residual],
    in_channels: int,
    channels: int,
    blocks: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    first_dilation: int | None = None,
    grid: Sequence[int] = (),
) -> nn.Sequential:
    """`blocks` residual blocks; the first one has the stride, and a dilation of its own where it is given.

    `grid`, where it is given, is a factor of each block's dilation.
    """
    factors = tuple(grid) or (1,) * blocks
    first = block(in_channels, channels, stride, (first_dilation or dilation) * factors[0])
    rest = (block(channels * block.expansion, channels, 1, dilation * factor) for factor in factors[1:])
    return nn.Sequential(first, *rest)
