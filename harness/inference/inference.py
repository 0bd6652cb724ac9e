"""One image through a model: windows, scales and mirrored views, fused at the image's own size.

A window, a scale and a mirrored view each are a pass of one image, so that no answer depends on how many images are
taken at a time, and the device needs the memory of one pass and of two score maps, (K, H, W) float32 each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.inference.inference_settings import Fuse, InferenceSettings, Mode, windows
from harness.values.errors import ModelError

__all__ = ["Answer", "answer_image", "count_passes", "margins_of"]

Image = npt.NDArray[np.uint8]


class Answer(NamedTuple):
    """Of one image.

    Args:
        classes: (H, W) uint8, the class of each pixel, 0 … K−1, as the device's own argmax has it.
        scores: (K, H, W) on the device: logits of a single view, fused scores of several.
    """

    classes: npt.NDArray[np.uint8]
    scores: Tensor


@torch.no_grad()
def answer_image(
    model: nn.Module, image: Image, settings: InferenceSettings, device: torch.device, classes: int
) -> Answer:
    """Ask a model in evaluation mode for an image.

    Args:
        model: takes (1, 3, h, w) in mode "tensor" and gives logits (1, K, h', w').
        image: (H, W, 3) uint8, BGR.
        settings: how.
        device: that the model is on.
        classes: K that the data set has.

    Raises:
        ModelError: the model answers with another number of classes.
    """
    height, width = image.shape[:2]
    aligned = _aligns_corners(model)
    fused: Tensor | None = None
    for scale in settings.scales:
        fitted = _scaled(image, settings.resize, scale)
        for flipped in (False, True) if settings.flip else (False,):
            view = fitted[:, ::-1] if flipped else fitted
            logits = _logits(model, np.ascontiguousarray(view), settings, device, aligned)
            if logits.shape[1] != classes:
                raise ModelError(
                    "the model answers with another number of classes than the data set has",
                    where="model.decode_head.num_classes",
                    observed=logits.shape[1],
                    allowed=classes,
                )
            logits = logits.flip(3) if flipped else logits
            scores = _resized(logits.float(), (height, width), aligned)[0]
            if settings.views > 1 and settings.fuse is Fuse.SOFTMAX:
                scores = scores.softmax(dim=0)
            fused = scores if fused is None else fused + scores
    assert fused is not None  # noqa: S101  # there is a scale
    if settings.views > 1 and settings.fuse is Fuse.SOFTMAX:
        fused = fused / settings.views
    return Answer(fused.argmax(dim=0).cpu().numpy().astype(np.uint8), fused)


def margins_of(answer: Answer) -> npt.NDArray[np.float32]:
    """(H, W) float32: how far the largest score lies above the next one, at each pixel; computed on the host."""
    scores = answer.scores.float().cpu()
    if scores.shape[0] < 2:
        return np.full(scores.shape[1:], np.inf, np.float32)
    top = scores.topk(2, dim=0).values
    margins: npt.NDArray[np.float32] = (top[0] - top[1]).numpy()
    return margins


def count_passes(size: tuple[int, int], settings: InferenceSettings) -> int:
    """How many passes an image of this (height, width) takes."""
    total = 0
    for scale in settings.scales:
        height, width = _fitted_size(size, settings.resize, scale)
        rows = columns = 1
        if settings.mode is Mode.SLIDE and settings.crop and settings.stride:
            rows = len(windows(height, settings.crop[0], settings.stride[0]))
            columns = len(windows(width, settings.crop[1], settings.stride[1]))
        total += rows * columns * (2 if settings.flip else 1)
    return total


def _logits(model: nn.Module, view: Image, settings: InferenceSettings, device: torch.device, aligned: bool) -> Tensor:
    """(1, K, h, w) of a view (h, w, 3), at its own size."""
    pixels = torch.from_numpy(view.transpose(2, 0, 1).copy()).to(device)
    inputs = _normalised(model, pixels)[None]
    around: Callable[[], Any] = (lambda: torch.autocast(device.type)) if settings.amp else nullcontext
    height, width = view.shape[:2]
    if settings.mode is Mode.WHOLE or settings.crop is None or settings.stride is None:
        with around():
            return _resized(_asked(model, inputs).float(), (height, width), aligned)
    total: Tensor | None = None
    seen = torch.zeros((1, 1, height, width), device=device)
    for top, bottom in windows(height, settings.crop[0], settings.stride[0]):
        for left, right in windows(width, settings.crop[1], settings.stride[1]):
            with around():
                logits = _asked(model, inputs[:, :, top:bottom, left:right].contiguous()).float()
            logits = _resized(logits, (bottom - top, right - left), aligned)
            if total is None:
                total = torch.zeros((1, logits.shape[1], height, width), device=device)
            total[:, :, top:bottom, left:right] += logits
            seen[:, :, top:bottom, left:right] += 1
    assert total is not None  # noqa: S101  # there is a window
    return total / seen


def _asked(model: nn.Module, inputs: Tensor) -> Tensor:
    """A model's logits; of a head with several outputs the first, which is the segmentation."""
    answer = model(inputs, mode="tensor")
    if isinstance(answer, (tuple, list)):
        answer = answer[0]
    if not isinstance(answer, Tensor) or answer.dim() != 4:
        raise ModelError(
            "the model gives no logits",
            where="forward(inputs, mode='tensor')",
            observed=type(answer).__name__,
            allowed="a tensor (N, K, h, w)",
        )
    return answer


def _normalised(model: nn.Module, pixels: Tensor) -> Tensor:
    """(3, h, w) as the model's preprocessor makes it, without the padding that training crops get."""
    preprocessor: Any = model.data_preprocessor
    own = getattr(preprocessor, "normalise", None)
    if own is not None:
        normal: Tensor = own(pixels)
        return normal
    stacked: Tensor = preprocessor({"inputs": [pixels]}, False)["inputs"]
    return stacked[0]


def _aligns_corners(model: Any) -> bool:
    """As the last decode head resizes, so are its logits."""
    head: Any = getattr(model, "decode_head", None)
    if isinstance(head, nn.ModuleList):
        head = head[-1]
    return bool(getattr(head, "align_corners", False))


def _resized(x: Tensor, size: tuple[int, int], aligned: bool) -> Tensor:
    return x if tuple(x.shape[2:]) == size else F.interpolate(x, size, mode="bilinear", align_corners=aligned)


def _fitted_size(size: tuple[int, int], resize: tuple[int, int] | None, scale: float) -> tuple[int, int]:
    """(height, width) after fitting into ``resize`` (width, height) times ``scale``; mmcv's rounding."""
    height, width = size
    factor = scale
    if resize is not None:
        longest, shortest = max(resize) * scale, min(resize) * scale
        factor = min(longest / max(height, width), shortest / min(height, width))
    return max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))


def _scaled(image: Image, resize: tuple[int, int] | None, scale: float) -> Image:
    height, width = _fitted_size((image.shape[0], image.shape[1]), resize, scale)
    if (height, width) == image.shape[:2]:
        return image
    fitted: Image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return fitted
