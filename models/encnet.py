"""EncNet: the image encoded by code words says which channels matter, and which classes occur.

Source: Zhang et al., "Context Encoding for Semantic Segmentation" (1803.08904): the encoding layer, section 3.1,
equations 1 and 2; the featuremap attention, section 3.2; the semantic encoding loss, section 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.head import DecodeHead
from models.layers import ConvModule, kaiming_init
from models.parts import build_part
from models.registry import MODELS

__all__ = ["EncHead", "Encoding", "PresenceLoss"]


class Encoding(nn.Module):
    """Residuals of every pixel to every code word, weighted by how near the pixel is, summed over the pixels.

    Args:
        channels: of the features.
        codes: how many code words.
    """

    def __init__(self, channels: int, codes: int) -> None:
        super().__init__()
        bound = (codes * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(codes, channels).uniform_(-bound, bound))
        self.scale = nn.Parameter(torch.empty(codes).uniform_(-1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) → (N, codes, C)."""
        pixels = x.flatten(2).transpose(1, 2).unsqueeze(2)  # (N, hw, 1, C)
        residuals = pixels - self.codewords  # (N, hw, codes, C)
        weights = F.softmax(self.scale * residuals.pow(2).sum(dim=3), dim=2)  # (N, hw, codes), eq. 2
        return (weights.unsqueeze(3) * residuals).sum(dim=1)


class ContextEncoding(nn.Module):
    """Scales each channel by what the encoding says of the image.

    Args:
        channels: of the features.
        codes: how many code words.
    """

    def __init__(self, channels: int, codes: int) -> None:
        super().__init__()
        self.encoding_project = ConvModule(channels, channels)
        self.encoding = nn.Sequential(Encoding(channels, codes), nn.BatchNorm1d(codes), nn.ReLU(inplace=True))
        self.fc = nn.Sequential(nn.Linear(channels, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) → the encoding (N, C), and the scaled features (N, C, h, w)."""
        code: Tensor = self.encoding(self.encoding_project(x)).mean(dim=1)
        return code, F.relu(x + x * self.fc(code)[:, :, None, None])


@MODELS.register_module()
class PresenceLoss(nn.Module):
    """Binary cross-entropy of which classes occur in an image; ignored pixels are of none.

    Args:
        loss_weight: factor of the loss where it enters the sum.
    """

    def __init__(self, loss_weight: float = 0.2) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Logits (N, K) and labels (N, H, W) int64 → a scalar."""
        classes = logits.shape[1]
        there = torch.zeros(len(labels), classes + 1, dtype=logits.dtype, device=logits.device)
        there.scatter_(1, labels.flatten(1).clamp(max=classes), 1.0)
        return F.binary_cross_entropy_with_logits(logits, there[:, :classes]) * self.loss_weight


@MODELS.register_module()
class EncHead(DecodeHead):
    """A 3×3 convolution of the last selected stage, the encoding, the classifier, and the classes' presence beside it.

    Args:
        in_channels: of the selected stages; the last one is used.
        channels: of the convolution.
        num_codes: how many code words.
        loss_se_decode: config of the presence's loss.
        **settings: as of `DecodeHead`; `input_transform` is "multiple_select".
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        *,
        num_codes: int = 32,
        loss_se_decode: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(in_channels, channels, input_transform="multiple_select", **settings)
        self.bottleneck = ConvModule(self.feature_channels[-1], channels, 3)
        self.enc_module = ContextEncoding(channels, num_codes)
        self.loss_se_decode = build_part(loss_se_decode or {"type": "PresenceLoss"}, "EncHead.loss_se_decode")
        self.se_layer = nn.Linear(channels, self.num_classes)
        kaiming_init(self)
        self.init_classifier()

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The backbone's features → logits (N, num_classes, h, w), and the presence's logits (N, num_classes)."""
        code, x = self.enc_module(self.bottleneck(self.select(features)[-1]))
        return self.classify(x), self.se_layer(code)

    def losses(self, logits: tuple[Tensor, Tensor], labels: Tensor) -> dict[str, Tensor]:  # type: ignore[override]  # two outputs
        """As of `DecodeHead`, and `loss_se`, the presence's.

        Args:
            logits: what `forward` gives.
            labels: (N, H, W) int64.
        """
        segmentation, presence = logits
        return {**super().losses(segmentation, labels), "loss_se": self.loss_se_decode(presence, labels)}
