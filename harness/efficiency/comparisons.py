"""Which attention block stands in for which non-local block, on which feature map, and what its paper says of that.

The claims: CCNet (1811.11721), abstract: 11× less memory and about 85 % fewer FLOPs than a non-local block, at
1×512×97×97. ANN (1908.07678), abstract: about 6× faster and 28× less memory, at 256×128: of inference, at 2048
channels, as the programs in its repository measure it (github MendelXu/ANN, efficiency_statics/). A claim stands beside
the measurement that it was made of, and beside no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from models.ann import AsymmetricAttention
from models.criss_cross import CrissCrossAttention
from models.emanet import EMAModule
from models.layers import ConvModule
from models.nonlocal_attention import attend
from models.nonlocal_block import NonLocal
from models.ocrnet import ObjectAttention, gather_objects

__all__ = ["COMPARISONS", "Claim", "Comparison"]


@dataclass(frozen=True)
class Claim:
    """What a paper says that a block saves.

    Args:
        text: in the paper's words, shortened.
        ratio: which ratio of a row it is about: "gmac_ratio", "memory_ratio" or "time_ratio".
        at_least: what that ratio then is.
    """

    text: str
    ratio: str
    at_least: float


@dataclass(frozen=True)
class Comparison:
    """A block and the non-local block that it stands in for.

    Args:
        model: whose block it is.
        block: its name.
        shape: of the feature map, (N, C, H, W).
        build: makes the block.
        against: the non-local form's name.
        build_nonlocal: makes that.
        claims: the paper's, for this map.
        inference: whether the forward pass alone is measured, in evaluation mode and without gradients, and what an
            empty block takes is subtracted; otherwise forward and backward, as in training.
    """

    model: str
    block: str
    shape: tuple[int, int, int, int]
    build: Callable[[], nn.Module]
    against: str
    build_nonlocal: Callable[[], nn.Module]
    claims: tuple[Claim, ...] = ()
    inference: bool = False


class _Recurrent(nn.Module):
    """Criss-cross attention, run R times with one set of weights (CCNet, section 3.3)."""

    def __init__(self, channels: int, recurrence: int) -> None:
        super().__init__()
        self.attention = CrissCrossAttention(channels)
        self.recurrence = recurrence

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.recurrence):
            x = self.attention(x)
        return x


class _PyramidCore(nn.Module):
    """ANN's APNB without its last convolution: what stands in for the non-local block."""

    def __init__(self, channels: int, project_channels: int) -> None:
        super().__init__()
        bins = (1, 3, 6, 8)
        self.attention = AsymmetricAttention(channels, channels, project_channels, channels, bins=bins, shared=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.attention(x, x)
        return out


class _OriginalPyramid(nn.Module):
    """What ANN's programs measure: the pyramid's attention alone, no shortcut and no last convolution."""

    def __init__(self, channels: int, project_channels: int) -> None:
        super().__init__()
        bins = (1, 3, 6, 8)
        self.attention = AsymmetricAttention(channels, channels, project_channels, channels, bins=bins, shared=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x)  # type: ignore[no-any-return]


class _OriginalNonLocal(nn.Module):
    """What they measure it against: the same, with every pixel for a key."""

    def __init__(self, channels: int, project_channels: int) -> None:
        super().__init__()
        self.key_project = ConvModule(channels, project_channels)
        self.value_project = nn.Conv2d(channels, project_channels, 1)
        self.out_project = nn.Conv2d(project_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        query = self.key_project(x)
        return self.out_project(attend(query, query.flatten(2), self.value_project(x).flatten(2)))  # type: ignore[no-any-return]


class _Bases(nn.Module):
    """EMANet's module with the convolutions around it that a gradient passes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ema = EMAModule(channels, 64, 3, 0.1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.out(self.ema(x))
        return out


class _Objects(nn.Module):
    """OCRNet's gathering and object attention, from a first guess by one convolution."""

    def __init__(self, channels: int, ocr_channels: int) -> None:
        super().__init__()
        self.guess = nn.Conv2d(channels, 19, 1)
        self.attention = ObjectAttention(channels, ocr_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, gather_objects(x, self.guess(x)))  # type: ignore[no-any-return]


def _ccnet_form() -> nn.Module:
    return NonLocal(512, 64, 512)


def _ann_form() -> nn.Module:
    return NonLocal(512, 256, 256)


def _as_ann_measures(height: int, width: int, claims: tuple[Claim, ...] = ()) -> Comparison:
    return Comparison(
        *("ann", "APNB core, 110 anchors", (1, 2048, height, width), lambda: _OriginalPyramid(2048, 256)),
        *("non-local, shared keys", lambda: _OriginalNonLocal(2048, 256)),
        claims=claims,
        inference=True,
    )


COMPARISONS: Final = (
    Comparison(
        *("ccnet", "criss-cross attention, R = 2", (1, 512, 97, 97), lambda: _Recurrent(512, 2)),
        *("non-local, keys C/8", _ccnet_form),
        claims=(
            Claim("11× less memory", "memory_ratio", 11.0),
            Claim("about 85 % fewer FLOPs", "gmac_ratio", 1 / 0.155),  # "about": 84.5 % and more
        ),
    ),
    Comparison(
        *("ann", "APNB core, 110 anchors", (1, 512, 96, 96), lambda: _PyramidCore(512, 256)),
        *("non-local, 256 channels", _ann_form),
    ),
    Comparison(
        *("ann", "APNB core, 110 anchors", (1, 512, 256, 128), lambda: _PyramidCore(512, 256)),
        *("non-local, 256 channels", _ann_form),
    ),
    *(_as_ann_measures(96, 96), _as_ann_measures(128, 128)),
    _as_ann_measures(
        *(256, 128),
        claims=(
            Claim("about 6× faster", "time_ratio", 6.0),
            Claim("28× less memory", "memory_ratio", 28.0),
        ),
    ),
    Comparison(
        *("emanet", "EMA, 64 bases, 3 stages", (1, 512, 97, 97), lambda: _Bases(512)),
        *("non-local, 256 channels", _ann_form),
    ),
    Comparison(
        *("ocrnet", "object context, 19 classes", (1, 512, 97, 97), lambda: _Objects(512, 256)),
        *("non-local, 256 channels", _ann_form),
    ),
)
