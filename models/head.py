"""What every decode head shares: which features it sees, how it classifies, what it is trained to lower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from harness.values.errors import ModelError
from models.layers import resize
from models.losses import CrossEntropyLoss, confusion_matrix, pixel_accuracy
from models.parts import build_part

__all__ = ["DecodeHead"]

_TRANSFORMS: Final = (None, "multiple_select", "resize_concat")


class DecodeHead(nn.Module):
    """Features of a backbone → logits of `num_classes` classes.

    A subclass's `forward(features)`, or `forward(features, previous)` where `refines` is true, gives logits
    (N, num_classes, h, w) at the resolution of the first features that it selects.

    Args:
        in_channels: of the selected features, one number or one for each.
        channels: of the features that are classified.
        in_index: which of the backbone's stages are selected.
        input_transform: None, one stage; "multiple_select", several as they are; "resize_concat", several, resized to
            the first of them and concatenated.
        num_classes: how many classes.
        dropout_ratio: how many of the channels that are classified are dropped in training, 0 … 1.
        align_corners: whether resizing takes the corner pixels' centres as the image's corners.
        loss_decode: config of the loss.
        sampler: config of what chooses the pixels that the loss is of; all where None.

    Raises:
        ModelError: the settings contradict each other.
    """

    refines: bool = False
    """Whether `forward` takes the logits of the head before it."""

    def __init__(
        self,
        in_channels: int | Sequence[int],
        channels: int,
        *,
        in_index: int | Sequence[int] = -1,
        input_transform: str | None = None,
        num_classes: int = 19,
        dropout_ratio: float = 0.1,
        align_corners: bool = False,
        loss_decode: Mapping[str, object] | None = None,
        sampler: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        kind = type(self).__name__
        if input_transform not in _TRANSFORMS:
            raise ModelError(
                "no such input transform",
                where=f"{kind}.input_transform",
                observed=input_transform,
                allowed=_TRANSFORMS,
            )
        if not dropout_ratio < 1.0:
            raise ModelError(
                "a ratio is below 1",
                where=f"{kind}.dropout_ratio",
                observed=dropout_ratio,
                allowed="0 … 1, 1 excluded; 0 for none",
            )
        self.in_index = _numbers(in_index)
        self.feature_channels = _numbers(in_channels)
        single = input_transform is None
        if len(self.in_index) != len(self.feature_channels) or (single and len(self.in_index) != 1):
            raise ModelError(
                "channels and stages don't pair up",
                where=f"{kind}.in_channels",
                observed=f"in_channels={in_channels}, in_index={in_index}, input_transform={input_transform!r}",
                allowed="one number each" if single else "as many channels as stages",
            )
        self.input_transform = input_transform
        self.in_channels = sum(self.feature_channels)
        self.num_classes = num_classes
        self.align_corners = align_corners
        self.loss_decode = build_part(loss_decode or {"type": "CrossEntropyLoss"}, f"{kind}.loss_decode")
        self.sampler = None if sampler is None else build_part(sampler, f"{kind}.sampler")
        if self.sampler is not None and not isinstance(self.loss_decode, CrossEntropyLoss):
            raise ModelError(
                "this loss takes no weights of pixels, which a sampler gives",
                where=f"{kind}.loss_decode.type",
                observed=type(self.loss_decode).__name__,
                allowed="CrossEntropyLoss",
            )
        self.dropout = nn.Dropout2d(dropout_ratio) if dropout_ratio > 0 else nn.Identity()
        self.conv_seg = nn.Conv2d(channels, num_classes, 1)

    def init_classifier(self) -> None:
        """Start the classifier near zero, so that the first logits say that every class is as likely."""
        nn.init.normal_(self.conv_seg.weight, std=0.01)
        nn.init.zeros_(self.conv_seg.bias)  # type: ignore[arg-type]  # a Conv2d with a bias

    def select(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The features of the stages that this head looks at, each (N, C, h, w)."""
        return [features[index] for index in self.in_index]

    def select_one(self, features: Sequence[Tensor]) -> Tensor:
        """The selected features as one tensor (N, in_channels, h, w)."""
        selected = self.select(features)
        if self.input_transform is None:
            return selected[0]
        size = (selected[0].shape[2], selected[0].shape[3])
        return torch.cat([resize(x, size, align_corners=self.align_corners) for x in selected], dim=1)

    def classify(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → logits (N, num_classes, h, w)."""
        return self.conv_seg(self.dropout(x))  # type: ignore[no-any-return]

    def losses(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The weighted loss, and the accuracy, of this head.

        Args:
            logits: (N, num_classes, h, w), resized here to the labels' height and width.
            labels: (N, H, W) int64.

        Returns:
            `loss_ce`, as it enters the sum, and `acc_seg`, percent; in evaluation mode also `confusion`, the pixels of
            each label that are given each class, (num_classes, num_classes) int64 on the host.
        """
        logits = resize(logits, (labels.shape[1], labels.shape[2]), align_corners=self.align_corners)
        name = str(self.loss_decode.name)
        chosen = () if self.sampler is None else (self.sampler(logits, labels),)
        losses = {name: self.loss_decode(logits, labels, *chosen), "acc_seg": pixel_accuracy(logits, labels)}
        return losses if self.training else {**losses, "confusion": confusion_matrix(logits, labels)}


def _numbers(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)
