"""Precision tiers: how many mantissa bits the operands of convolution and matrix products keep."""

from __future__ import annotations

__all__ = ["TIERS", "tier_bits"]

_MANTISSA_BITS = {"fp32": 23, "tf32": 10, "fp16": 10, "bf16": 7}

TIERS: tuple[str, ...] = tuple(_MANTISSA_BITS)
"""The tiers, tightest first. fp16 keeps as many bits as tf32 but has a smaller range, so it comes after it."""


def tier_bits(tier: str) -> int:
    """Explicit mantissa bits of a tier's operands (IEEE 754; NVIDIA's tf32: 10 bits).

    Raises:
        KeyError: ``tier`` is not one of TIERS.
    """
    return _MANTISSA_BITS[tier]
