"""How a model is asked for an image: in one piece or in windows, at which scales, flipped or not, and how that adds up.

Sources: mmsegmentation 1.2.2, models/segmentors/encoder_decoder.py (whole and slide), models/segmentors/seg_tta.py (the
mean of softmax); the original ANN, methods/seg/fcn_segmentor_test.py (the sum of logits).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, final

from harness.values.errors import CaseError, UsageError

__all__ = ["Fuse", "InferenceSettings", "Mode", "settings_of", "windows"]


class Mode(str, Enum):
    """In one piece, or in windows that overlap."""

    WHOLE = "whole"
    SLIDE = "slide"


class Fuse(str, Enum):
    """How the answers at several scales, and to the flipped image, become one."""

    SOFTMAX = "softmax"
    """The mean of their softmax, as mmsegmentation does it."""

    LOGITS = "logits"
    """The sum of their logits, as the original ANN does it."""


@final
@dataclass(frozen=True)
class InferenceSettings:
    """How a model is asked.

    Args:
        mode: whole or slide.
        crop: (height, width) of a window; None in whole mode.
        stride: (rows, columns) from one window to the next; None in whole mode.
        resize: (width, height) that an image is fitted into first, its aspect kept; None for its own size.
        scales: factors of that size, each a pass.
        flip: whether each scale is asked for the mirrored image too.
        fuse: how several answers become one.
        amp: whether it is computed under autocast.

    Raises:
        UsageError: a setting is out of range, or contradicts another.
    """

    mode: Mode = Mode.WHOLE
    crop: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    resize: tuple[int, int] | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    fuse: Fuse = Fuse.SOFTMAX
    amp: bool = False

    def __post_init__(self) -> None:
        sliding = self.mode is Mode.SLIDE
        if sliding and (self.crop is None or self.stride is None):
            missing = "--crop" if self.crop is None else "--stride"
            raise UsageError("windows need a crop and a stride", where=missing, observed="nothing", allowed="H W")
        if not sliding and (self.crop is not None or self.stride is not None):
            raise UsageError("a crop or stride is given, and the mode is whole", hint="--mode slide")
        for name, pair in (("--crop", self.crop), ("--stride", self.stride), ("--resize", self.resize)):
            if pair is not None and not (len(pair) == 2 and all(type(side) is int and side >= 1 for side in pair)):
                raise UsageError("a size is two whole numbers from 1", where=name, observed=pair)
        if self.crop and self.stride and any(step > side for step, side in zip(self.stride, self.crop, strict=True)):
            raise UsageError(
                "windows leave pixels between them", where="--stride", observed=self.stride, allowed=f"≤ {self.crop}"
            )
        if not self.scales or any(not 0.1 <= scale <= 8 for scale in self.scales):
            raise UsageError("a scale is a factor", where="--scales", observed=self.scales, allowed="0.1 … 8")

    @property
    def views(self) -> int:
        """How many passes an image takes."""
        return len(self.scales) * (2 if self.flip else 1)

    def describe(self) -> str:
        """One line: mode, crop, stride, scales, flip, fusion."""
        parts = [f"mode {self.mode.value}"]
        if self.crop and self.stride:
            parts += [f"crop {self.crop[0]}×{self.crop[1]}", f"stride {self.stride[0]}×{self.stride[1]}"]
        parts.append(f"fitted into {self.resize[0]}×{self.resize[1]}" if self.resize else "at the image's own size")
        parts.append("scales " + ", ".join(f"{scale:g}" for scale in self.scales) if len(self.scales) > 1 else "")
        parts.append("flipped too" if self.flip else "")
        parts.append(f"fused by {_FUSED[self.fuse]}" if self.views > 1 else "")
        parts.append("autocast" if self.amp else "")
        return ", ".join(part for part in parts if part)


_FUSED = {Fuse.SOFTMAX: "the mean of softmax", Fuse.LOGITS: "the sum of logits"}


def windows(length: int, crop: int, stride: int) -> tuple[tuple[int, int], ...]:
    """Begin and end of each window along one axis; the last one is shifted back inside."""
    count = max(length - crop + stride - 1, 0) // stride + 1
    ends = [min(number * stride + crop, length) for number in range(count)]
    return tuple((max(end - crop, 0), end) for end in ends)


def settings_of(config: Mapping[str, Any], asked: Mapping[str, Any]) -> InferenceSettings:
    """What a config says, with what the command line asks laid over it.

    A config says it by ``model.test_cfg`` (``mode``, ``crop_size``, ``stride``), as the field's do; whole without one.
    The size that images are fitted into is that of the test pipeline's ``Resize``, else of the training's
    ``RandomResize``, which the field's recipes share; where neither is there, the image's own.

    Args:
        config: a Runner's config.
        asked: fields of ``InferenceSettings``; None where nothing was asked.

    Raises:
        CaseError: the config's ``test_cfg`` is not valid.
        UsageError: what was asked can't.
    """
    test = dict(config.get("model", {}).get("test_cfg") or {})
    mode = asked.get("mode")
    try:
        mode = Mode(mode or test.get("mode", "whole"))
    except ValueError:
        raise CaseError(
            "there is no such mode", where="model.test_cfg.mode", observed=test.get("mode"), allowed="whole, slide"
        ) from None
    crop = stride = None
    if mode is Mode.SLIDE:
        crop = asked.get("crop") or _pair(test, "crop_size")
        stride = (
            asked.get("stride") or _pair(test, "stride") or (crop and tuple(max(1, side * 2 // 3) for side in crop))
        )
    elif asked.get("crop") or asked.get("stride"):
        crop, stride = asked.get("crop"), asked.get("stride")
    settings = InferenceSettings(mode, crop, stride, asked.get("resize") or _resize_of(config))
    given = {name: asked[name] for name in ("scales", "flip", "fuse", "amp") if asked.get(name) is not None}
    return replace(settings, **given)


def _pair(test: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    value = test.get(name)
    if value is None:
        return None
    if isinstance(value, int):
        return value, value
    if not (isinstance(value, (tuple, list)) and len(value) == 2 and all(type(side) is int for side in value)):
        raise CaseError("a size is two whole numbers", where=f"model.test_cfg.{name}", observed=value)
    return value[0], value[1]


def _resize_of(config: Mapping[str, Any]) -> tuple[int, int] | None:
    for loader, kind in (
        ("test_dataloader", "Resize"),
        ("val_dataloader", "Resize"),
        ("train_dataloader", "RandomResize"),
    ):
        dataset = (config.get(loader) or {}).get("dataset") or {}
        for step in dataset.get("pipeline") or ():
            if isinstance(step, Mapping) and step.get("type") == kind and step.get("keep_ratio") and step.get("scale"):
                scale = step["scale"]
                return (int(scale[0]), int(scale[1])) if isinstance(scale, (tuple, list)) else None
    return None
