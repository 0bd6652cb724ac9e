"""OCRNet: pixels look at object regions, which are the pixels that a first guess gives to each class.

Source: Yuan et al., "Object-Contextual Representations for Semantic Segmentation" (1909.11065), section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.head import DecodeHead
from models.layers import ConvModule, kaiming_init
from models.nonlocal_attention import attend
from models.registry import MODELS

__all__ = ["OCRHead", "ObjectAttention", "gather_objects"]


def gather_objects(features: Tensor, logits: Tensor) -> Tensor:
    """The representation of each class's region: the mean of the pixels, weighted by how likely they are in it (eq. 2).

    Args:
        features: (N, C, H, W).
        logits: (N, K, H, W), the first guess; the weights of a class add up to 1 over the pixels.

    Returns:
        (N, C, K).
    """
    weights = logits.flatten(2).softmax(dim=2)  # (N, K, HW)
    return torch.bmm(features.flatten(2), weights.transpose(1, 2))


class ObjectAttention(nn.Module):
    """Each pixel's object-contextual representation, joined to the pixel (eq. 3–5).

    Args:
        channels: of pixels and objects, and of the output.
        ocr_channels: inside the attention.
    """

    def __init__(self, channels: int, ocr_channels: int) -> None:
        super().__init__()
        self.query_project = nn.Sequential(ConvModule(channels, ocr_channels), ConvModule(ocr_channels, ocr_channels))
        self.key_project = nn.Sequential(ConvModule(channels, ocr_channels), ConvModule(ocr_channels, ocr_channels))
        self.value_project = ConvModule(channels, ocr_channels)
        self.out_project = ConvModule(ocr_channels, channels)
        self.bottleneck = ConvModule(2 * channels, channels)

    def forward(self, pixels: Tensor, objects: Tensor) -> Tensor:
        """Pixels (N, C, H, W) and objects (N, C, K) → (N, C, H, W)."""
        objects = objects.unsqueeze(3)  # (N, C, K, 1): a map of one column
        query = self.query_project(pixels)  # (N, ocr_channels, H, W)
        key = self.key_project(objects).squeeze(3)  # (N, ocr_channels, K)
        value = self.value_project(objects).squeeze(3)  # (N, ocr_channels, K)
        context = self.out_project(attend(query, key, value))  # (N, C, H, W)
        return self.bottleneck(torch.cat([context, pixels], dim=1))  # type: ignore[no-any-return]


@MODELS.register_module()
class OCRHead(DecodeHead):
    """Reduce, gather the objects of the head before, let the pixels look at them, classify (figure 3).

    Args:
        in_channels: of the selected features.
        channels: C of pixels and objects.
        ocr_channels: inside the attention.
        **settings: as of `DecodeHead`.
    """

    refines = True

    def __init__(self, in_channels: int | Sequence[int], channels: int, *, ocr_channels: int, **settings: Any) -> None:
        super().__init__(in_channels, channels, **settings)
        self.object_context_block = ObjectAttention(channels, ocr_channels)
        self.bottleneck = ConvModule(self.in_channels, channels, 3)
        kaiming_init(self)
        self.init_classifier()

    def forward(self, features: Sequence[Tensor], previous: Tensor) -> Tensor:
        """The backbone's features, and the head before's logits (N, K, h, w) → logits (N, num_classes, h, w)."""
        pixels = self.bottleneck(self.select_one(features))  # (N, C, h, w)
        return self.classify(self.object_context_block(pixels, gather_objects(pixels, previous)))
