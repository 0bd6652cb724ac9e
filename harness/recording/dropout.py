"""Dropout with masks that are drawn on the host, so that they are equal on every device.

With masks of its own a candidate parts from the reference by 2–5 % at once, and nothing smaller can be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

__all__ = ["OWN_DROPOUT", "HostDropout"]

OWN_DROPOUT: Mapping[str, Callable[..., torch.Tensor]] = {
    name: getattr(F, name) for name in ("dropout", "dropout1d", "dropout2d", "dropout3d")
}
"""Name in ``torch.nn.functional`` → the dropout of its input's own device, whatever stands there now."""


class HostDropout:
    """While it is entered, dropout's masks come from torch's generator of the CPU.

    The generator is the default one, so that gradient checkpointing, which restores it, draws the same mask again. A
    uniform draw on a 24-bit grid is compared with p: integer arithmetic, equal on every machine. The functions of
    ``torch.nn.functional`` are replaced, rather than watched by a mode: a mode is not there any more when checkpointing
    computes a block again during backward. Covers dropout of elements and of channels; ``alpha_dropout`` and the
    dropout inside fused attention keep the device's own draws.
    """

    def __enter__(self) -> HostDropout:
        self._originals = [(module, name, getattr(module, name)) for module, name, _ in _REPLACEMENTS]
        for module, name, replacement in _REPLACEMENTS:
            setattr(module, name, replacement)
        return self

    def __exit__(self, *_: object) -> None:
        for module, name, original in self._originals:
            setattr(module, name, original)


def _dropout(x: torch.Tensor, shape: Sequence[int], p: float, training: bool, inplace: bool) -> torch.Tensor:
    """Drop with probability p, by a mask of ``shape``, and scale what is kept by 1 / (1 − p); p = 1 drops all."""
    if not training or p == 0.0:
        return x
    mask = (torch.rand(tuple(shape), dtype=torch.float32) >= p).to(device=x.device, dtype=x.dtype)
    mask = mask.mul_(0.0 if p >= 1.0 else 1.0 / (1.0 - p))
    return x.mul_(mask) if inplace else x * mask


def _of_elements(
    input: torch.Tensor,  # noqa: A002  # the name that callers may use
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> torch.Tensor:
    """Every element has a draw of its own."""
    return _dropout(input, input.shape, p, training, inplace)


def _of_channels(spatial: int) -> Callable[..., torch.Tensor]:
    """Whole channels are dropped: of (N, C, …) or, without a batch, of (C, …), with ``spatial`` dimensions behind C.

    PyTorch takes three dimensions given to ``dropout2d`` for (N, C, L); so it is here.
    """

    def dropout(
        input: torch.Tensor,  # noqa: A002  # the name that callers may use
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> torch.Tensor:
        behind = 1 if spatial == 2 and input.dim() == 3 else spatial
        shape = (*input.shape[: input.dim() - behind], *(1,) * behind)
        return _dropout(input, shape, p, training, inplace)

    return dropout


def _of_torch(input: torch.Tensor, p: float, train: bool) -> torch.Tensor:  # noqa: A002  # as ``torch.dropout`` has it
    return _of_elements(input, p, train)


_REPLACEMENTS: tuple[tuple[Any, str, Callable[..., torch.Tensor]], ...] = (
    (F, "dropout", _of_elements),
    (F, "dropout1d", _of_channels(1)),
    (F, "dropout2d", _of_channels(2)),
    (F, "dropout3d", _of_channels(3)),
    (torch, "dropout", _of_torch),
)
