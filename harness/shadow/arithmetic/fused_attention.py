"""Fused attention for the host: scaled dot-product attention as elementary operations, forward and backward.

Written from Vaswani et al. 2017 (arXiv 1706.03762, equation 1) and, for the backward from a stored logarithm of the
sums, Dao et al. 2022 (arXiv 2205.14135, appendix B.4): with S = s Q Kᵀ + mask, P = exp(S − l) and D = Σ dO ∘ O, the
gradient of the scores is dS = P ∘ (dO Vᵀ − D). Each vendor's operation is the same function under another name; what it
returns besides (states of generators, lengths) isn't compared. Dropout inside it is drawn on the device, and isn't.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

__all__ = ["FUSED", "compute_attention"]

_Tensor = torch.Tensor

FUSED = "_scaled_dot_product_"
"""How the names of fused attention begin, PyTorch's and the vendors'."""


def compute_attention(op: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[_Tensor | None, ...]:
    """What a fused attention, or its backward, makes of its arguments.

    Args:
        op: the operation, with its overload; its arguments are told by their names.
        args: positional arguments, in float64.
        kwargs: keyword arguments.

    Raises:
        NotImplementedError: it drops out.
    """
    names = [argument.name for argument in op._schema.arguments]
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    if given.get("dropout_p"):
        raise NotImplementedError("it drops out by the device's own draws")
    made = _backward(given) if "logsumexp" in given else _forward(given)
    return (*made, *([None] * (len(op._schema.returns) - len(made))))[: len(op._schema.returns)]


def _forward(given: Mapping[str, Any]) -> tuple[_Tensor | None, ...]:
    """The output (B, H, L, V); of the logarithms of the sums nobody but the backward reads the layout.

    A query that sees no key, since all are masked, gets nothing: PyTorch's softmax of such a row is zero in attention.
    """
    value, scores = _shared(given["value"], given["query"]), _scores(given)
    sees_nothing = (scores == -math.inf).all(-1, keepdim=True)
    return (torch.softmax(scores, -1).masked_fill(sees_nothing, 0.0) @ value,)


def _backward(given: Mapping[str, Any]) -> tuple[_Tensor | None, ...]:
    """The gradients of query, key, value and, where there is one and it is asked for, of what was added."""
    query, key, value = given["query"], given["key"], given["value"]
    gradient, out = given.get("grad_out", given.get("grad_out_")), given["out"]
    scores = _scores(given)
    sums = given["logsumexp"][..., : query.shape[-2], None].to(scores.dtype)
    weights = (scores - sums).exp().nan_to_num(0.0, 0.0, 0.0)
    of_value = weights.transpose(-1, -2) @ gradient
    inner = (gradient * out).sum(-1, keepdim=True)
    of_scores = weights * (gradient @ _shared(value, query).transpose(-1, -2) - inner)
    scale = _scale(given)
    of_query = of_scores @ _shared(key, query) * scale
    of_key = of_scores.transpose(-1, -2) @ query * scale
    found: list[_Tensor | None] = [of_query, _gathered(of_key, key), _gathered(of_value, value)]
    wanted = given.get("grad_input_mask", [True, True, True, False])
    added = given.get("attn_bias")
    found.append(of_scores.sum_to_size(added.shape) if added is not None and wanted[3] else None)
    return tuple(each if asked else None for each, asked in zip(found, wanted, strict=True))


def _scores(given: Mapping[str, Any]) -> _Tensor:
    query, key = given["query"], _shared(given["key"], given["query"])
    scores: _Tensor = query @ key.transpose(-1, -2) * _scale(given)
    mask = given.get("attn_mask", given.get("attn_bias"))
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else scores + mask
    if given.get("is_causal"):
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~seen, -math.inf)
    return scores


def _scale(given: Mapping[str, Any]) -> float:
    scale = given.get("scale")
    return float(scale) if scale is not None else 1 / math.sqrt(given["query"].shape[-1])


def _shared(tensor: _Tensor, query: _Tensor) -> _Tensor:
    """Heads of keys and values as many as the queries', each shared by its group."""
    times = query.shape[1] // tensor.shape[1]
    return tensor.repeat_interleave(times, 1) if times > 1 else tensor


def _gathered(gradient: _Tensor, tensor: _Tensor) -> _Tensor:
    """The gradient of shared heads, summed over each group."""
    times = gradient.shape[1] // tensor.shape[1]
    return gradient.unflatten(1, (tensor.shape[1], times)).sum(2) if times > 1 else gradient
