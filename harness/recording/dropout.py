"""Dropout with masks that are drawn on the host, so that they are equal on every device.

With masks of its own a candidate parts from the reference by 2–5 % at once, and nothing smaller can be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # its customary name
from torch.overrides import TorchFunctionMode

__all__ = ["HostDropout"]


class HostDropout(TorchFunctionMode):
    """While it is entered, dropout's masks come from torch's generator of the CPU.

    The generator is the default one, so that gradient checkpointing, which restores it, draws the same mask again. A
    uniform draw on a 24-bit grid is compared with p: integer arithmetic, equal on every machine. Covers dropout of
    elements and of channels; ``alpha_dropout`` and the dropout inside fused attention keep the device's own draws.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        masked_dimensions = _MASKED_DIMENSIONS.get(func)
        if masked_dimensions is None:
            return func(*args, **kwargs)
        return _dropout(masked_dimensions, *args, **kwargs)


def _dropout(
    masked_dimensions: Callable[[torch.Tensor], int],
    input: torch.Tensor,  # noqa: A002  # the name that callers may use
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> torch.Tensor:
    """Drop with probability p, scale what is kept by 1 / (1 − p); p = 1 drops all."""
    if not training or p == 0.0:
        return input
    kept = masked_dimensions(input)
    shape = (*input.shape[:kept], *(1,) * (input.dim() - kept))
    mask = (torch.rand(shape, dtype=torch.float32) >= p).to(device=input.device, dtype=input.dtype)
    scale = 0.0 if p >= 1.0 else 1.0 / (1.0 - p)
    mask = mask.mul_(scale)
    return input.mul_(mask) if inplace else input * mask


def _all_dimensions(tensor: torch.Tensor) -> int:
    return tensor.dim()


def _batch_and_channel(channel_dimensions: int) -> Callable[[torch.Tensor], int]:
    """Whole channels are dropped: of (N, C, …) or, without a batch, of (C, …)."""
    return lambda tensor: tensor.dim() - channel_dimensions


_MASKED_DIMENSIONS: dict[Callable[..., Any], Callable[[torch.Tensor], int]] = {
    F.dropout: _all_dimensions,
    F.dropout1d: _batch_and_channel(1),
    F.dropout2d: _batch_and_channel(2),
    F.dropout3d: _batch_and_channel(3),
    torch.dropout: _all_dimensions,
}
"""Dropout function → how many leading dimensions of its input have a mask of their own."""
