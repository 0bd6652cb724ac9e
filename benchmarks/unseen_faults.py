"""Faults that the diagnosis was not made with: kernels that are wrong on some calls only, and on all.

Written when ``harness/shadow/probing`` was finished, with attributes that the catalogue's faults hardly have. For
``benchmarks/diagnosis.py --unseen``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from harness.lab.faults.fault import Fault

__all__ = ["UNSEEN", "UNSEEN_ATTRIBUTES"]

Change = Callable[..., Any]


@dataclass(frozen=True)
class _Unseen(Fault):
    """A fault whose code stands here.

    Attributes:
        op: the operation that it is in.
        change: gets the result and the arguments, and answers the wrong result.
    """

    op: str = ""
    change: Change = lambda made, *_: made

    def kernels(self) -> Mapping[str, Callable[..., Any]]:
        """The operation's wrapper."""
        return {self.op: lambda run, *args, **kwargs: self.change(run(*args, **kwargs), *args)}


def _fault(name: str, op: str, summary: str, change: Change) -> Fault:
    return _Unseen(name, summary, "written to be diagnosed", "kernel", op=op, change=change)


def _deep_sum_cut(y: Any, x: Any, *_: Any) -> Any:
    return y * 1.03 if x.shape[1] > 32 else y


def _last_row_lost(y: Any, *_: Any) -> Any:
    if y.dim() == 4 and y.shape[2] % 8:
        y = y.clone()
        y[:, :, -1] = 0
    return y


def _plain_3x3(made: Any, grad: Any, x: Any, weight: Any, sizes: Any, stride: Any, *_: Any) -> Any:
    dx, dw, db = made
    struck = dw is not None and max(stride) == 1 and tuple(weight.shape[2:]) == (3, 3)
    return dx, dw * 0.97 if struck else dw, db


def _tile_of_32(made: Any, x: Any, *_: Any) -> Any:
    y, *others = made
    if x.shape[1] % 32:
        y = y.clone()
        y[:, -1] *= 1.5
    return (y, *others)


def _left_turned(y: Any, a: Any, b: Any) -> Any:
    return y if a.is_contiguous() else y * 1.2


def _last_axis(y: Any, x: Any, dim: int, *_: Any) -> Any:
    return y * 1.04 if dim % x.dim() == x.dim() - 1 else y


def _past_32768(y: Any, x: Any, *_: Any) -> Any:
    if y.numel() > 32768:
        y = y.clone()
        y.view(-1)[32768:] += 0.5
    return y


def _corners_apart(y: Any, x: Any, size: Any, align_corners: bool, *_: Any) -> Any:
    return y if align_corners else y.roll(1, -1)


def _broadcast_twice(y: Any, a: Any, b: Any = None, *_: Any, **__: Any) -> Any:
    stretched = isinstance(b, torch.Tensor) and b.dim() and a.shape != b.shape
    return y + b * 0.5 if stretched and y.is_floating_point() else y


def _third_lost(y: Any, tensors: Any, dim: int = 0) -> Any:
    if len(tensors) > 2 and y.is_floating_point():
        y = y.clone()
        y.narrow(dim, sum(t.shape[dim] for t in tensors[:2]), tensors[2].shape[dim]).zero_()
    return y


def _padded(made: Any, grad: Any, x: Any, weight: Any, sizes: Any, stride: Any, padding: Any, *_: Any) -> Any:
    dx, dw, db = made
    return dx * 1.1 if dx is not None and max(padding) > 0 else dx, dw, db


def _every(factor: float) -> Change:
    def change(made: Any, *_: Any) -> Any:
        return (made[0] * factor, *made[1:]) if isinstance(made, (tuple, list)) else made * factor

    return change


def _last_channel(y: Any, *_: Any) -> Any:
    y = y.clone()
    y[:, -1] *= -1
    return y


def _by_chance(y: Any, *_: Any) -> Any:
    return y * (1 + 0.2 * float(torch.rand(())))


class _Numbered:
    """Strikes every 20th call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, y: Any, *_: Any) -> Any:
        self.calls += 1
        return y * 1.2 if self.calls % 20 == 7 else y


UNSEEN = (
    _fault("conv-deep-sum", "convolution", "sums over more than 32 input channels are 3 % too large", _deep_sum_cut),
    _fault("conv-last-row", "convolution", "the last row is zero where the height is no multiple of 8", _last_row_lost),
    _fault("wgrad-plain-3x3", "convolution_backward", "3 % too small for unstrided 3×3 kernels", _plain_3x3),
    _fault("bn-tile-of-32", "native_batch_norm", "the last of no multiple of 32 channels is off", _tile_of_32),
    _fault("bmm-left-turned", "bmm", "products of a first operand that isn't contiguous are off", _left_turned),
    _fault("softmax-last-axis", "_softmax", "softmax over the last axis is 4 % too large", _last_axis),
    _fault("relu-past-32768", "relu", "elements past 32,768 are too large", _past_32768),
    _fault("resize-corners-apart", "upsample_bilinear2d", "without aligned corners shifted by a pixel", _corners_apart),
    _fault("add-broadcast-twice", "add", "what is broadcast is added one and a half times", _broadcast_twice),
    _fault("cat-third-lost", "cat", "the third of several tensors is zero", _third_lost),
    _fault("dgrad-padded", "convolution_backward", "10 % too large where there is padding", _padded),
    _fault("conv-all", "convolution", "every output is 2 % too large", _every(1.02)),
    _fault("conv-last-channel", "convolution", "the last channel of every output has the wrong sign", _last_channel),
    _fault("bn-all", "native_batch_norm", "every output is 1 % too small", _every(0.99)),
    _fault("bmm-all", "bmm", "every product is 5 % too large", _every(1.05)),
    _fault("conv-by-chance", "convolution", "every output is too large by chance, up to 20 %", _by_chance),
    _fault("conv-every-20th", "convolution", "every 20th output is 20 % too large", _Numbered()),
)

UNSEEN_ATTRIBUTES: dict[str, tuple[tuple[str, ...], ...]] = {
    "conv-deep-sum": (("more than 32", "input channels"),),
    "conv-last-row": (("output height", "multiple of 8"),),
    "wgrad-plain-3x3": (("stride 1", "3×3"), ("stride 1", "larger than 1×1"), ("3×3",)),
    "bn-tile-of-32": (("channels", "multiple of 32"),),
    "bmm-left-turned": (("self",), ("isn't contiguous",)),
    "softmax-last-axis": (("with dim",),),
    "relu-past-32768": (("more than 32768",),),
    "resize-corners-apart": (("without align corners",),),
    "add-broadcast-twice": (("broadcast",),),
    "cat-third-lost": (("number of tensors",),),
    "dgrad-padded": (("with padding",),),
}
"""As ``ATTRIBUTES`` of ``diagnosis.py``: each way to say what sets the struck calls apart."""
