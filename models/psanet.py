"""PSANet: every position gathers from, and gives to, every other by a mask that it predicts over relative positions.

Source: Zhao et al., "PSANet: Point-wise Spatial Attention Network for Scene Parsing" (ECCV 2018), sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.values.errors import ModelError
from models.head import DecodeHead
from models.layers import ConvModule, kaiming_init, resize
from models.registry import MODELS

__all__ = ["PSAHead", "attention_map"]


def attention_map(masks: Tensor, mask_size: tuple[int, int]) -> Tensor:
    """Masks over relative positions → attention over the map's positions; what the mask doesn't reach is 0.

    Args:
        masks: (N, mh · mw, h, w): at each position a mask of mh × mw, whose middle is the position itself.
        mask_size: (mh, mw), odd.

    Returns:
        (N, h · w, h, w): at [n, i · w + j, y, x] what the mask of (y, x) says of (i, j).
    """
    height, width = masks.shape[2:]
    rows = torch.arange(height, device=masks.device)
    columns = torch.arange(width, device=masks.device)
    down = rows[:, None] - rows[None, :] + mask_size[0] // 2  # (i, y)
    across = columns[:, None] - columns[None, :] + mask_size[1] // 2  # (j, x)
    reached = ((down >= 0) & (down < mask_size[0]))[:, None, :, None]
    reached = reached & ((across >= 0) & (across < mask_size[1]))[None, :, None, :]
    places = down[:, None, :, None] * mask_size[1] + across[None, :, None, :]  # (i, j, y, x)
    places = places.clamp(0, mask_size[0] * mask_size[1] - 1).reshape(1, height * width, height, width)
    taken = masks.gather(1, places.expand(len(masks), -1, -1, -1))
    return torch.where(reached.reshape(1, height * width, height, width), taken, taken.new_zeros(()))


@MODELS.register_module()
class PSAHead(DecodeHead):
    """Collecting and distributing attention at half the resolution, beside the features that it is made from.

    Args:
        in_channels: of the selected features.
        channels: of the reduced features.
        mask_size: (height, width) of the masks, odd; at least twice the shrunken map's less one sees all of it.
        shrink_factor: by how much the map is smaller that attention is computed on.
        **settings: as of `DecodeHead`.

    Raises:
        ModelError: the mask has no middle, or the factor is below 1.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        mask_size: Sequence[int] = (97, 97),
        shrink_factor: int = 2,
        **settings: Any,
    ) -> None:
        super().__init__(in_channels, channels, **settings)
        if len(mask_size) != 2 or any(side < 1 or side % 2 == 0 for side in mask_size):
            raise ModelError(
                "a mask has a middle", where="PSAHead.mask_size", observed=mask_size, allowed="two odd numbers"
            )
        if shrink_factor < 1:
            raise ModelError("no such factor", where="PSAHead.shrink_factor", observed=shrink_factor, allowed="1, 2, …")
        self.mask_size = (mask_size[0], mask_size[1])
        self.shrink_factor = shrink_factor
        cells = self.mask_size[0] * self.mask_size[1]
        self.reduce, self.reduce_p = ConvModule(in_channels, channels), ConvModule(in_channels, channels)
        self.attention = nn.Sequential(ConvModule(channels, channels), nn.Conv2d(channels, cells, 1, bias=False))
        self.attention_p = nn.Sequential(ConvModule(channels, channels), nn.Conv2d(channels, cells, 1, bias=False))
        # The field's projection is padded by a pixel on each side, which the resizing after it takes in.
        self.proj = ConvModule(2 * channels, in_channels, padding=1)
        self.bottleneck = ConvModule(2 * in_channels, channels, 3)
        kaiming_init(self)
        self.init_classifier()

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The backbone's features → logits (N, num_classes, h, w)."""
        x = self.select_one(features)
        size, aligned = self._shrunken(x)
        collecting = resize(self.reduce(x), size, align_corners=aligned)
        giving = resize(self.reduce_p(x), size, align_corners=aligned)
        collected = self._applied(collecting, attention_map(self.attention(collecting), self.mask_size).flatten(2))
        # To distribute is to collect by the transposed attention: what (y, x) says of (i, j) is taken at (i, j).
        spread = attention_map(self.attention_p(giving), self.mask_size).flatten(2).transpose(1, 2)
        distributed = self._applied(giving, spread)
        context = self.proj(torch.cat([collected, distributed], dim=1))
        context = resize(context, (x.shape[2], x.shape[3]), align_corners=aligned)
        return self.classify(self.bottleneck(torch.cat([x, context], dim=1)))

    def _shrunken(self, x: Tensor) -> tuple[tuple[int, int], bool]:
        """The smaller map's size; corners are aligned where neither side divides, and nowhere else, as in the field."""
        height, width, factor = x.shape[2], x.shape[3], self.shrink_factor
        if factor == 1:
            return (height, width), self.align_corners
        if height % factor and width % factor:
            return ((height - 1) // factor + 1, (width - 1) // factor + 1), True
        return (height // factor, width // factor), False

    @staticmethod
    def _applied(x: Tensor, attention: Tensor) -> Tensor:
        """Features (N, C, h, w) and attention (N, hw, hw), softmax over the first of the positions → (N, C, h, w)."""
        return torch.bmm(x.flatten(2), F.softmax(attention, dim=1)).view_as(x)
