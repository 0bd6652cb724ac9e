"""Precision tiers: how many mantissa bits the operands of convolution and matrix products keep."""

from __future__ import annotations

__all__ = ["TIERS"]

TIERS: tuple[str, ...] = ("fp32", "tf32", "fp16", "bf16")
"""The tiers, tightest first: 23, 10, 10 and 7 explicit mantissa bits (IEEE 754; NVIDIA's tf32; bfloat16).

fp16 keeps as many bits as tf32 but has a smaller range, so it comes after it.
"""
