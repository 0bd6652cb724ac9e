"""Other kernels of the same device, drawn call by call: what a healthy device's own algorithms may part by.

The noise of a repeat rounds convolutions and products anew, by the kernels that the device takes by itself. At the
rounding of float32 that isn't all that healthy devices part by: PyTorch's batch norm on the CPU adds up in float64
where channels lie apart, and in float32 where they lie last, 5 to 45 times as far off, as on any accelerator; an
ensemble that knows the first alone calls the second wrong. So every second of a reference's repeats at fp32 takes
either, by chance: tensors are laid out with channels last for a call, and on the CPU convolutions are made without
oneDNN. Results keep their layout.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["OtherKernels"]

_aten = torch.ops.aten

_CONVOLUTIONS = frozenset({_aten.convolution.default, _aten.convolution_backward.default})

_BY_LAYOUT = _CONVOLUTIONS | {
    _aten.native_batch_norm.default,
    _aten.native_batch_norm_backward.default,
    _aten.native_group_norm.default,
    _aten.native_group_norm_backward.default,
    _aten.upsample_bilinear2d.default,
    _aten.upsample_bilinear2d_backward.default,
    _aten.avg_pool2d.default,
    _aten.avg_pool2d_backward.default,
    _aten._adaptive_avg_pool2d.default,
    _aten._adaptive_avg_pool2d_backward.default,
}
"""Operations that round, and have kernels of their own for channels last. cuDNN's batch norm is none of them: what it
keeps for its backward depends on the layout."""


class OtherKernels(TorchDispatchMode):
    """Enter it around forward and backward, where the noise is entered too, and behind it.

    Args:
        seed: of the choice, call by call, from a generator of its own.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._random = random.Random(seed)  # noqa: S311 - noise, not a secret

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the call by one of its kernels."""
        if func not in _BY_LAYOUT:
            return func(*args, **(kwargs or {}))
        last, plain = self._random.random() < 0.5, self._random.random() < 0.5
        laid_out = [_with_channels_last(value) for value in args] if last else list(args)
        on_host = isinstance(args[0], torch.Tensor) and args[0].is_cpu
        without = plain and on_host and func in _CONVOLUTIONS
        with _without_onednn() if without else nullcontext():
            made = func(*laid_out, **(kwargs or {}))
        if not last or _lies_last(args[0]):
            return made
        return tuple(map(_with_channels_apart, made)) if isinstance(made, tuple) else _with_channels_apart(made)


@contextmanager
def _without_onednn() -> Iterator[None]:
    enabled: Any = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]  # a property of the module
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = enabled


def _with_channels_last(value: Any) -> Any:
    """A tensor of images with channels last; anything else as it is."""
    is_map = isinstance(value, torch.Tensor) and value.dim() == 4
    return value.contiguous(memory_format=torch.channels_last) if is_map else value


def _with_channels_apart(value: Any) -> Any:
    is_map = isinstance(value, torch.Tensor) and value.dim() == 4
    return value.contiguous() if is_map else value


def _lies_last(value: Any) -> bool:
    """Whether a tensor lay with channels last before."""
    return isinstance(value, torch.Tensor) and value.dim() == 4 and not value.is_contiguous()
