"""Scaled dot-product attention, fused where the CPU fuses it.

PyTorch asks a table in C++ for a device's fused kernel, and composes products and a softmax for a Python backend. So
does the device here where its numerics or a fault are laid over those; where nothing is, it gives the CPU's own answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend

from harness.lab.emulation.dispatch_plan import overload
from harness.lab.emulation.relabel import host_tensor

__all__ = ["PARTS", "register"]

PARTS = frozenset({"bmm", "baddbmm", "_softmax", "_softmax_backward_data"})
"""What attention is composed of, forward and backward."""

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_Tensor = torch.Tensor


def register(aten: torch.library.Library, is_plain: Callable[[], bool]) -> None:
    """Register attention in `aten`; `is_plain` tells whether nothing is laid over `PARTS`."""
    composed = overload("aten::scaled_dot_product_attention")._op_dk
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

    def attention(
        query: _Tensor, key: _Tensor, value: _Tensor, mask: _Tensor | None = None, dropout: float = 0.0,
        causal: bool = False, **settings: Any,
    ) -> Any:  # fmt: skip
        """Query (…, L, E), key (…, S, E), value (…, S, V) → (…, L, V)."""
        given = (query, key, value, mask)
        if is_plain() and _is_fused_on_host(given, dropout, causal, settings):
            return fused(
                query, key, value, dropout, causal, attn_mask=_added(mask, query), scale=settings.get("scale")
            )[0]
        return composed(_COMPOSITE, *given, dropout, causal, **settings)

    for name in ("AutogradPrivateUse1", "PrivateUse1"):
        aten.impl("scaled_dot_product_attention", attention, name)


def _is_fused_on_host(given: tuple[_Tensor | None, ...], dropout: float, causal: bool, settings: Any) -> bool:
    """What the CPU would choose for the same tensors; it looks at gradients too."""
    if any(t is not None and t.get_device() < 0 for t in given):
        return False  # the composed one says what is wrong
    hosts = [None if t is None else host_tensor(t.detach()).requires_grad_(t.requires_grad) for t in given]
    choice: int = torch.ops.aten._fused_sdp_choice(*hosts, dropout, causal, **settings)
    return choice == SDPBackend.FLASH_ATTENTION.value


def _added(mask: _Tensor | None, query: _Tensor) -> _Tensor | None:
    """A mask that is added to the scores, from one that says which of them count."""
    if mask is None or mask.dtype is not torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask.logical_not(), -torch.inf)
