"""Precision tiers: how many mantissa bits the operands of convolution and matrix products keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.values.errors import DeviceError

__all__ = ["BF16_BITS", "FAMILIES", "FP16_BITS", "FP32_BITS", "TF32_BITS", "TIERS", "Family"]

FP32_BITS = 23
TF32_BITS = 10
FP16_BITS = 10
BF16_BITS = 7

TIERS: tuple[str, ...] = ("fp32", "tf32", "fp16", "bf16")
"""The tiers, tightest first: 23, 10, 10 and 7 explicit mantissa bits (IEEE 754; NVIDIA's tf32; bfloat16).

fp16 keeps as many bits as tf32 but has a smaller range, so it comes after it.
"""


@dataclass(frozen=True)
class Family:
    """How one family of operations rounds.

    Attributes:
        operand_bits: explicit mantissa bits kept of each float32 operand; 23 is float32 itself.
        output_bits: explicit mantissa bits kept of each float32 result.
        half_range: operands and results pass through IEEE half precision, its overflow at 65504 and its subnormals
            below 6.1e-5 included; without it only the mantissa is cut, as with a loss scale that works.
    """

    operand_bits: int = FP32_BITS
    output_bits: int = FP32_BITS
    half_range: bool = False

    def __post_init__(self) -> None:
        for field in ("operand_bits", "output_bits"):
            bits = getattr(self, field)
            if not 1 <= bits <= FP32_BITS:
                raise DeviceError(
                    "a family keeps between 1 and 23 mantissa bits",
                    where=f"Family.{field}",
                    observed=bits,
                    allowed="1–23",
                )


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "fp32": Family(),
        "tf32": Family(TF32_BITS),
        "fp16": Family(FP16_BITS, FP16_BITS),
        "bf16": Family(BF16_BITS, BF16_BITS),
    }
)
"""What convolution and matrix products keep at each tier: tf32 rounds operands, half precision results too."""
