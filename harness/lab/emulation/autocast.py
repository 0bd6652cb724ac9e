"""Autocast: which operations run in half precision, which in float32, which in the widest type among their operands.

The lists are those that PyTorch documents for CUDA (docs/source/amp.md, "Autocast Op Reference"); a Python backend gets
none. The cast of a weight is kept until autocast ends, as CUDA's is, so that a weight that is used twice is cast once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_map_only

from harness.lab.emulation.dispatch_plan import overload
from harness.values.errors import DeviceError

__all__ = ["register"]

_KEY = torch._C._dispatch_key_parse("AutocastPrivateUse1")
_BELOW = torch._C.DispatchKeySet(_KEY)
_DEVICE_TYPE = "sdaa"

_LOWER = (
    "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d.input",
    "conv_transpose3d.input", "convolution", "_convolution", "prelu", "addmm", "addmv", "addr", "matmul",
    "einsum", "mm", "mv", "linear", "addbmm", "baddbmm", "bmm", "chain_matmul", "linalg_multi_dot",
    "linalg_vecdot", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell", "scaled_dot_product_attention",
)  # fmt: skip

_FLOAT32 = (
    "acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal", "rsqrt",
    "sinh", "tan", "pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar", "softplus", "layer_norm",
    "native_layer_norm", "group_norm", "cosine_similarity", "poisson_nll_loss", "cosine_embedding_loss",
    "nll_loss", "nll_loss2d", "hinge_embedding_loss", "kl_div", "l1_loss", "smooth_l1_loss", "huber_loss",
    "mse_loss", "margin_ranking_loss", "multilabel_margin_loss", "soft_margin_loss", "triplet_margin_loss",
    "multi_margin_loss", "binary_cross_entropy_with_logits", "dist", "pdist", "cdist", "renorm", "logsumexp",
    "upsample_nearest1d", "_upsample_nearest_exact1d", "upsample_nearest2d", "_upsample_nearest_exact2d",
    "upsample_nearest3d", "_upsample_nearest_exact3d", "upsample_linear1d", "upsample_bilinear2d",
    "_upsample_bilinear2d_aa", "upsample_trilinear3d", "upsample_bicubic2d", "_upsample_bicubic2d_aa",
    "norm.Scalar", "norm.ScalarOpt_dim", "prod", "prod.dim_int", "softmax.int", "log_softmax.int", "cumprod",
    "cumsum", "linalg_vector_norm", "linalg_matrix_norm", "linalg_matrix_norm.str_ord", "sum",
    "sum.dim_IntList",
)  # fmt: skip

_PROMOTED = (
    "addcdiv", "addcmul", "atan2", "bilinear", "cross", "dot", "vdot", "grid_sampler", "index_put",
    "tensordot", "scatter_add",
)  # fmt: skip


class _WeightCache:
    """Casts of leaves that need a gradient, while autocast lasts."""

    def __init__(self) -> None:
        self._casts: dict[tuple[int, torch.dtype, bool], tuple[torch.Tensor, torch.Tensor]] = {}

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """`tensor.to(dtype)`, from the cache where CUDA's autocast would take it from there."""
        eligible = tensor.is_leaf and tensor.requires_grad and tensor.dtype is torch.float32 and not tensor._is_view()
        if not (eligible and torch.is_autocast_cache_enabled()):
            return tensor.to(dtype)
        key = (id(tensor), dtype, torch.is_grad_enabled())
        if key not in self._casts:
            self._casts[key] = (tensor, tensor.to(dtype))
        return self._casts[key][1]

    def clear(self) -> None:
        self._casts.clear()


def register(aten: torch.library.Library, anything: torch.library.Library) -> None:
    """Register the autocast kernels in `aten`, a fallthrough for all else, and clear the cache when PyTorch does."""
    cache = _WeightCache()
    clear = torch.clear_autocast_cache

    def clear_both() -> None:
        cache.clear()
        clear()

    torch.clear_autocast_cache = clear_both
    anything.fallback(torch.library.fallthrough_kernel, _KEY.name)
    lists: tuple[tuple[tuple[str, ...], Callable[..., Any]], ...] = (
        (_LOWER, _lowered),
        (_FLOAT32, _in_float32),
        (_PROMOTED, _promoted),
    )
    for names, kernel in lists:
        for name in names:
            aten.impl(name, functools.partial(kernel, overload(f"aten::{name}"), cache), _KEY.name)
    aten.impl("binary_cross_entropy", _refused, _KEY.name)


def _lowered(op: torch._ops.OpOverload, cache: _WeightCache, *args: Any, **kwargs: Any) -> Any:
    return _run(op, torch.get_autocast_dtype(_DEVICE_TYPE), cache, args, kwargs)


def _in_float32(op: torch._ops.OpOverload, cache: _WeightCache, *args: Any, **kwargs: Any) -> Any:
    return _run(op, torch.float32, cache, args, kwargs)


def _promoted(op: torch._ops.OpOverload, cache: _WeightCache, *args: Any, **kwargs: Any) -> Any:
    dtypes: set[torch.dtype] = set()
    tree_map_only(torch.Tensor, lambda t: dtypes.add(t.dtype) if _is_cast(t) else None, (args, kwargs))
    widest = torch.float32 if torch.float32 in dtypes else torch.get_autocast_dtype(_DEVICE_TYPE)
    return _run(op, widest, cache, args, kwargs)


def _refused(*args: Any, **kwargs: Any) -> Any:
    raise DeviceError(
        "binary_cross_entropy is unsafe under autocast: its gradient overflows in half precision",
        where="torch.nn.functional.binary_cross_entropy",
        allowed="binary_cross_entropy_with_logits",
        hint="take the loss on logits, or switch autocast off around it",
    )


def _run(
    op: torch._ops.OpOverload, dtype: torch.dtype, cache: _WeightCache, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    def cast(tensor: torch.Tensor) -> torch.Tensor:
        return cache.cast(tensor, dtype) if tensor.dtype is not dtype and _is_cast(tensor) else tensor

    with torch._C._ExcludeDispatchKeyGuard(_BELOW):
        args, kwargs = tree_map_only(torch.Tensor, cast, (args, kwargs))
        return op(*args, **kwargs)


def _is_cast(tensor: torch.Tensor) -> bool:
    """float64 stays as it is, as on CUDA, and so does a tensor of the host."""
    return tensor.is_floating_point() and tensor.dtype is not torch.float64 and tensor.device.type == _DEVICE_TYPE
