"""How many mantissa bits a result is stored with: one that passed through a narrower format shows it in every element.

An error can hide in a tier's rounding and the format still be seen: of a result that was kept in bfloat16 on the way,
each element ends in sixteen zeros, where float64's result, rounded to the same dtype, ends in anything.
"""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["coarseness", "shows_format", "stored_bits"]

_MANTISSA = {torch.float32: (torch.int32, 23), torch.float16: (torch.int16, 10)}
"""Dtype → the integers of its size, and its explicit mantissa bits; bfloat16 has none to lose."""

_FEW = 4096
"""Elements that are looked at first: nearly always the last bit of one of them is set, and no more need be."""

_LEAST_VALUES = 64
"""Distinct values that tell: a bit that is zero in so many by chance is so once in 10¹⁹ results."""

_HEALTHY_ULPS = 4.0
"""By how many units in the last place a healthy kernel may be off: where float64's result is as near to a number of few
bits, a kernel that stores all bits has that number too. GELU's gradient at 10⁻⁸ is half of what comes in, and a bit."""

_LEAST_LOST = 6
"""Bits that have to be lost: each of ``_LEAST_VALUES`` values would have to lack all of them by chance."""


def stored_bits(tensor: torch.Tensor) -> int:
    """Explicit mantissa bits that the elements of a tensor on the host use together; 0 where none uses any.

    Args:
        tensor: of any shape, float32 or float16.
    """
    integers, bits = _MANTISSA[tensor.dtype]
    flat = tensor.detach().reshape(-1)
    used = _used(flat[:_FEW], integers)
    if not used & 1 and flat.numel() > _FEW:
        used |= _used(flat[_FEW:], integers)
    mantissa = used & ((1 << bits) - 1)
    return bits - ((mantissa & -mantissa).bit_length() - 1) if mantissa else 0


def coarseness(made: torch.Tensor, due: torch.Tensor) -> int | None:
    """Mantissa bits that a result is stored with, where that is clearly fewer than it should be.

    Args:
        made: the device's result on the host, of any shape and dtype.
        due: float64's, of the same shape.

    Returns:
        None where float64's result in the same dtype uses hardly more bits, or where there are too few values to tell:
        what is called coarse is looked at by ``shows_format``, which takes longer.
    """
    if made.dtype not in _MANTISSA or made.shape != due.shape:
        return None
    stored = stored_bits(made)
    most = _MANTISSA[made.dtype][1]
    if stored > most - _LEAST_LOST or stored > stored_bits(due.to(made.dtype)) - _LEAST_LOST:
        return None
    return stored if made[made.isfinite()].unique().numel() >= _LEAST_VALUES else None


def shows_format(made: torch.Tensor, due: torch.Tensor, bits: int) -> bool:
    """Whether so many values of a result would be stored with more bits by a healthy kernel that it is no chance.

    Args:
        made: the device's result on the host, of any shape, stored with so many bits.
        due: float64's, of the same shape.
        bits: explicit mantissa bits.
    """
    _, exponent = torch.frexp(due.abs().clamp_min(torch.finfo(made.dtype).smallest_normal))
    ones = torch.ones_like(due)
    step = torch.ldexp(ones, exponent - 1 - bits)
    unit = torch.ldexp(ones, exponent - 1 - _MANTISSA[made.dtype][1])
    beyond = (due - (due / step).round_().mul_(step)).abs_() > _HEALTHY_ULPS * unit
    return bool(made[beyond & made.isfinite()].unique().numel() >= _LEAST_VALUES)


def _used(flat: torch.Tensor, integers: torch.dtype) -> int:
    """The bits that are set in any element of (n,); of a copy, as what NumPy has seen the program can't resize."""
    return int(np.bitwise_or.reduce(flat.contiguous().clone().view(integers).numpy(force=True), initial=0))
