"""ResNet, and ResNetV1c: the same with a deep stem; dilated to an output stride of 8 where a head wants it.

Source: He et al., 1512.03385, table 1; the three 3×3 convolutions of the stem: He et al., 1812.01187, section 4.2
(ResNet-C); dilation in place of stride: Chen et al., DeepLabv3 (1706.05587), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch.nn.functional as F
from torch import Tensor, nn

from harness.values.errors import ModelError
from models.checkpoint import load_backbone
from models.layers import kaiming_init
from models.registry import MODELS
from models.residual import BasicBlock, Bottleneck, Residual, stack

__all__ = ["ResNet", "ResNetV1c"]

_DEPTHS: Final[dict[int, tuple[type[Residual], tuple[int, int, int, int]]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


@MODELS.register_module()
class ResNet(nn.Module):
    """Image → the features of four stages.

    Args:
        depth: 18, 34, 50, 101 or 152.
        strides: of the four stages.
        dilations: of the four stages.
        stem_channels: that the stem gives to the first stage, an even number; with 128 the stem of `ResNetV1c` is the
            original ANN's, of 64, 64 and 128.
        base_channels: width of the first stage's branches; each stage doubles it.
        contract_dilation: whether the first block of a dilated stage has half its dilation, which softens gridding.
        ceil_mode: whether the max pool rounds an odd half up, as the original ANN's does: an even map gets a row and a
            column more.
        multi_grid: factors of the dilation of the last stage's blocks, one for each (DeepLabv3, section 3.1); the
            first block's, where `contract_dilation` halves it, too. None: all 1. mmsegmentation's setting of this name
            is the dilations themselves.
        checkpoint: a file with pretrained weights of this backbone.

    Raises:
        ModelError: the depth isn't one of these, not four stages, a width that is none, a grid of another length, or
            the checkpoint doesn't fit.
    """

    def __init__(
        self,
        depth: int = 50,
        strides: Sequence[int] = (1, 2, 1, 1),
        dilations: Sequence[int] = (1, 1, 2, 4),
        *,
        stem_channels: int = 64,
        base_channels: int = 64,
        contract_dilation: bool = True,
        ceil_mode: bool = False,
        multi_grid: Sequence[int] | None = None,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        if depth not in _DEPTHS:
            raise ModelError("no such ResNet", where="backbone.depth", observed=depth, allowed=sorted(_DEPTHS))
        for field, values in (("strides", strides), ("dilations", dilations)):
            if len(values) != 4:
                raise ModelError(
                    "a ResNet has four stages", where=f"backbone.{field}", observed=values, allowed="four numbers"
                )
        for field, width, least in (("stem_channels", stem_channels, 2), ("base_channels", base_channels, 1)):
            if width < least or width % least:
                allowed = "even and positive" if least > 1 else "positive"
                raise ModelError("no such width", where=f"backbone.{field}", observed=width, allowed=allowed)
        block, blocks = _DEPTHS[depth]
        if multi_grid is not None and (len(multi_grid) != blocks[3] or min(multi_grid) < 1):
            raise ModelError(
                "a grid has a factor for each block of the last stage",
                where="backbone.multi_grid",
                observed=multi_grid,
                allowed=f"{blocks[3]} whole numbers from 1 up",
            )
        self.ceil_mode = ceil_mode
        channels = stem_channels
        self.build_stem(channels)
        for stage, (count, stride, dilation) in enumerate(zip(blocks, strides, dilations, strict=True)):
            width = base_channels * 2**stage
            first = dilation // 2 if contract_dilation and dilation > 1 else dilation
            grid = multi_grid if multi_grid is not None and stage == 3 else ()
            layer = stack(
                block, channels, width, count, stride=stride, dilation=dilation, first_dilation=first, grid=grid
            )
            self.add_module(f"layer{stage + 1}", layer)
            channels = width * block.expansion
        self.out_channels = tuple(base_channels * 2**stage * block.expansion for stage in range(4))
        kaiming_init(self)
        if checkpoint is not None:
            load_backbone(self, checkpoint)

    def build_stem(self, channels: int) -> None:
        """Add the layers before the max pool: one 7×7 convolution."""
        self.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)

    def stem_features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) → (N, channels, H/2, W/2)."""
        return F.relu(self.bn1(self.conv1(x)), inplace=True)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) → the four stages' features; at depth 50 and the default widths, strides and dilations.

        (N, 256, H/4, W/4), (N, 512, H/8, W/8), (N, 1024, H/8, W/8), (N, 2048, H/8, W/8).
        """
        x = F.max_pool2d(self.stem_features(x), kernel_size=3, stride=2, padding=1, ceil_mode=self.ceil_mode)
        features = []
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
            features.append(x)
        return tuple(features)


@MODELS.register_module()
class ResNetV1c(ResNet):
    """ResNet whose stem is three 3×3 convolutions, half as wide but for the last; settings as of `ResNet`."""

    def build_stem(self, channels: int) -> None:
        """Add the layers before the max pool."""
        half = channels // 2
        self.stem = nn.Sequential(
            *(nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True)),
            *(nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True)),
            *(nn.Conv2d(half, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)),
        )

    def stem_features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) → (N, channels, H/2, W/2)."""
        return self.stem(x)  # type: ignore[no-any-return]
