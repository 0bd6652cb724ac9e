"""How much an operation may round at a precision tier, before any constant: the error model of the shadow rule.

A result's error is taken relative to its norm, as the root of the sum of three squares (Higham, *Accuracy and Stability
of Numerical Algorithms*, 2nd ed. 2002, §3.1 and §2.8, rounding errors as independent random variables):

    operands      √2 · u_operand, for products of two operands that the tier rounds,
    accumulator   u_float32 · √terms, for sums in any order (a blocked sum is better, a sequential one that bad),
    result        u_result, for the dtype that it is written in, or the tier's where that is coarser,

with u = 2^−(bits + 1) for a mantissa of so many explicit bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "FAMILIES",
    "SHADOW_TIERS",
    "family_of",
    "kept_bits",
    "least_stored",
    "mantissa_bits",
    "result_bits",
    "rounding",
    "smallest_normal",
    "unit_roundoff",
]

FLOAT32_BITS = 23

_BITS = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7, "complex64": 23}

FAMILIES: Mapping[str, str] = {
    "convolution": "convolution forward",
    "cudnn_convolution": "convolution forward",
    "mkldnn_convolution": "convolution forward",
    "convolution_overrideable": "convolution forward",
    "convolution_backward": "convolution backward",
    "convolution_backward_overrideable": "convolution backward",
    "mm": "matmul",
    "bmm": "matmul",
    "mv": "matmul",
    "dot": "matmul",
    "addmm": "matmul",
    "baddbmm": "matmul",
    "addmv": "matmul",
    "addbmm": "matmul",
    "_addmm_activation": "matmul",
    "linear": "matmul",
    "mkldnn_linear": "matmul",
    "linear_backward": "matmul",
    "_trilinear": "matmul",
    "_cdist_forward": "matmul",
    "_euclidean_dist": "distance",
    "linalg_pinv": "matmul",
    "linalg_matrix_exp": "matmul",
    "affine_grid_generator": "matmul",
    "mkldnn_rnn_layer": "matmul",
    "mkldnn_rnn_layer_backward": "matmul",
    "_cudnn_rnn": "matmul",
    "_cudnn_rnn_backward": "matmul",
}
"""Operation → family, for the families that a precision tier is about; any other is a family of its own."""

_SUMMED_AS_GIVEN = frozenset({"native_batch_norm_backward", "cudnn_batch_norm_backward"})
"""Where what comes in is half precision and the parameters are not, the sums behind their gradients are as good as the
former: PyTorch's own kernel of the CPU rounds them to bfloat16 where the gradient's layout isn't the input's."""

_ATTENTION = "attention"
_FUSED_ATTENTION = ("_scaled_dot_product_", "scaled_dot_product_", "_flash_attention_", "_efficient_attention_")
"""How the names begin of each vendor's fused attention, forward and backward."""


@dataclass(frozen=True)
class _Tier:
    """Mantissa bits that the families of a tier keep.

    Args:
        operands: of each operand.
        results: of each result.
        families: which families.
        smallest: the smallest normal number of their range; below it rounding is absolute. 0 for float32's range.
    """

    operands: int
    results: int
    families: frozenset[str]
    smallest: float = 0.0


_SMALLEST_HALF = 2.0**-14
"""float16's smallest normal number: below it a rounding is no smaller, however small the number is."""

_ALL = frozenset({*FAMILIES.values(), _ATTENTION})

SHADOW_TIERS: Mapping[str, _Tier] = {
    "fp32": _Tier(23, 23, _ALL),
    "tf32": _Tier(10, 23, _ALL),
    "fp16": _Tier(10, 10, _ALL),
    "bf16": _Tier(7, 7, _ALL),
    "sdaa": _Tier(10, 10, frozenset({"convolution forward", "convolution backward"}), _SMALLEST_HALF),
}
"""Precision tiers that operations can be judged at: those of baselines, and SDAA's default, convolution in half."""


def unit_roundoff(bits: float) -> float:
    """Half the distance of two neighbours at 1, for a mantissa of so many explicit bits."""
    return float(2.0 ** -(bits + 1))


def family_of(op: str) -> str:
    """The family that an operation is judged and shown with."""
    if op.startswith(_FUSED_ATTENTION):
        return _ATTENTION
    return FAMILIES.get(op, op.rstrip("_").removeprefix("_foreach_").removesuffix("_forward"))


def kept_bits(op: str, tier: str) -> int:
    """Explicit mantissa bits that a tier keeps of an operation's operands."""
    kept = SHADOW_TIERS[tier]
    return kept.operands if family_of(op) in kept.families else FLOAT32_BITS


def result_bits(op: str, dtype: str, tier: str) -> int:
    """Explicit mantissa bits that a tier keeps of an operation's result in a dtype, by name."""
    kept = SHADOW_TIERS[tier]
    bits = mantissa_bits(dtype)
    return min(bits, kept.results) if family_of(op) in kept.families else bits


def smallest_normal(op: str, dtype: str, tier: str) -> float:
    """What a healthy kernel's operands and results are at least taken for when they are rounded (IEEE 754, §3.3).

    Args:
        op: the operation.
        dtype: of its result, by name.
        tier: one of ``SHADOW_TIERS``.
    """
    if dtype == "float16":
        return _SMALLEST_HALF
    kept = SHADOW_TIERS[tier]
    return kept.smallest if family_of(op) in kept.families else 0.0


def mantissa_bits(dtype: str) -> int:
    """Explicit mantissa bits of a dtype by its name, float32's for what isn't floating."""
    return _BITS.get(dtype, FLOAT32_BITS)


def rounding(op: str, dtype: str, operand: int, terms: float, tier: str) -> float:
    """The relative error that a healthy kernel has, before any constant.

    Args:
        op: the operation.
        dtype: of its result, by name.
        operand: mantissa bits of its operands' dtype.
        terms: how many terms each element of the result sums, at least 1.
        tier: one of ``SHADOW_TIERS``.
    """
    kept = SHADOW_TIERS[tier]
    result = result_bits(op, dtype, tier)
    if family_of(op) in _SUMMED_AS_GIVEN:
        result = min(result, operand)
    squares = terms * unit_roundoff(max(FLOAT32_BITS, mantissa_bits(dtype))) ** 2
    if family_of(op) in kept.families and kept.operands < operand:
        squares += 2 * unit_roundoff(kept.operands) ** 2
    return math.sqrt(squares + unit_roundoff(result) ** 2)


def least_stored(op: str, dtype: str, operand: int, terms: float, tier: str, scale: float = 1.0) -> float:
    """Explicit mantissa bits that a healthy kernel stores a result with at least: those that the tier multiplies with.

    The sum behind a result is at least float32's: where its terms are many, or cancel, its last bits are never reached.
    Below its range a format has fewer bits by itself.

    Args:
        op: the operation.
        dtype: of its result, by name.
        operand: mantissa bits of its operands' dtype.
        terms: how many terms each element of the result sums, at least 1.
        tier: one of ``SHADOW_TIERS``.
        scale: by how much a rounding of the inputs moves the result, over the rounding and its norm; at least 1.
    """
    cancelled = math.log2(max(1.0, scale))
    kept = float(min(kept_bits(op, tier), operand, result_bits(op, dtype, tier)))
    if cancelled and smallest_normal(op, dtype, tier):
        kept -= cancelled + 1
    return max(0.0, min(kept, FLOAT32_BITS - cancelled - math.log2(max(1.0, terms)) / 2 - 1))
