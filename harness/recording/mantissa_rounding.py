"""Rounding of float32 mantissas, the one source of error that a numerics profile adds to an operand."""

from __future__ import annotations

import torch

__all__ = ["flush_subnormals", "round_to", "round_to_"]

_FP32_BITS = 23
_BF16_BITS = 7
_SMALLEST_NORMAL = 2.0**-126


def round_to(tensor: torch.Tensor, bits: int, *, half_range: bool = False) -> torch.Tensor:
    """Round a float32 tensor to `bits` explicit mantissa bits, to nearest; tensors of another dtype pass as they are.

    Ties go away from zero, as the tf32 conversion of NVIDIA's tensor cores does (PTX ISA, cvt.rna.tf32.f32), which
    needs half the passes of ties-to-even; bfloat16 and half precision go to even, as their conversions do. A result
    past the largest float32 becomes infinite; a NaN stays one unless every bit of its payload is set.

    Args:
        tensor: any shape, left untouched; the result shares its memory where nothing is to be rounded.
        bits: 1 to 23.
        half_range: go through IEEE half precision, with its range and subnormals.
    """
    if tensor.dtype is not torch.float32:
        return tensor
    if half_range:
        return tensor.half().float()
    if bits >= _FP32_BITS:
        return tensor
    if bits == _BF16_BITS:
        return tensor.bfloat16().float()
    dropped = _FP32_BITS - bits
    return (tensor.view(torch.int32) + (1 << (dropped - 1))).bitwise_and_(-(1 << dropped)).view(torch.float32)


def round_to_(tensor: torch.Tensor, bits: int, *, half_range: bool = False) -> torch.Tensor:
    """`round_to`, in the tensor's own memory: for one that nobody else holds, at half the cost."""
    if tensor.dtype is not torch.float32 or (bits >= _FP32_BITS and not half_range):
        return tensor
    if half_range or bits == _BF16_BITS:
        return tensor.copy_(round_to(tensor, bits, half_range=half_range))
    dropped = _FP32_BITS - bits
    tensor.view(torch.int32).add_(1 << (dropped - 1)).bitwise_and_(-(1 << dropped))
    return tensor


def flush_subnormals(tensor: torch.Tensor) -> torch.Tensor:
    """A float32 tensor with its subnormal elements at zero, signs kept; tensors of another dtype pass as they are."""
    if tensor.dtype is not torch.float32:
        return tensor
    return torch.where(tensor.abs() < _SMALLEST_NORMAL, torch.copysign(torch.zeros_like(tensor), tensor), tensor)
