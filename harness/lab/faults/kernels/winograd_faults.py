"""A fault in convolution by Winograd's algorithm, whose transforms are rounded too far.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (1509.09308), section 4.3: F(4×4, 3×3).
Arguments are those of `convolution`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault
from harness.recording.mantissa_rounding import round_to

__all__ = ["transforms_rounded"]

_TILE, _KERNEL = 4, 3
_INPUT = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
_WEIGHT = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
_OUTPUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


def _transformed(x: Any, matrix: tuple[tuple[float, ...], ...]) -> Any:
    """M x Mᵀ over the last two axes."""
    m = torch.tensor(matrix, dtype=x.dtype)
    return m @ x @ m.T


def _convolved(x: Any, weight: Any, bits: int) -> Any:
    """The 3×3 convolution with padding 1, its transformed operands rounded to so many mantissa bits."""
    n, _, height, width = x.shape
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    padded = functional.pad(x, (1, columns * _TILE - width + 1, 1, rows * _TILE - height + 1))
    side = _TILE + _KERNEL - 1
    tiles = padded.unfold(2, side, _TILE).unfold(3, side, _TILE)  # (N, C, rows, columns, 6, 6)
    inputs = round_to(_transformed(tiles, _INPUT), bits)
    kernels = round_to(_transformed(weight, _WEIGHT), bits)  # (K, C, 6, 6)
    products = torch.einsum("kcij,ncrsij->nkrsij", kernels, inputs)
    y = _transformed(products, _OUTPUT).permute(0, 1, 2, 4, 3, 5)
    return y.reshape(n, len(weight), rows * _TILE, columns * _TILE)[..., :height, :width].contiguous()


@KERNELS.strikes("conv-winograd-10bit")
def transforms_rounded(fault: Fault) -> dict[str, Wrapper]:
    """3×3 convolutions padded by 1, not strided, not dilated, keep severity mantissa bits of transformed operands."""

    def convolution(
        run: Run, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, *rest: Any
    ) -> Any:
        plain = weight.shape[2:] == (_KERNEL, _KERNEL) and {*stride, *padding, *dilation} == {1}
        if not plain or rest[0] or rest[2] != 1 or x.dtype is not torch.float32:
            return run(x, weight, bias, stride, padding, dilation, *rest)
        y = _convolved(x, weight, round(fault.severity or 1))
        return y if bias is None else y + bias.view(1, -1, 1, 1)

    return {"convolution": convolution}
