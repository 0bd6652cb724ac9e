"""Healthy noise: the same experiment with other rounding, laid over a run on any device.

A baseline needs reference runs that differ as healthy runs differ. In each convolution and matrix product one operand
is scaled by s and the other by 1/s, so that the exact result is unchanged and every rounding is not; then both are
rounded to the tier's mantissa. Works on torch ≥ 2.4, on any device, and leaves every random stream as it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.recording.mantissa_rounding import round_to, round_to_
from harness.values.errors import DeviceError
from harness.values.precision import FAMILIES, TIERS, Family

__all__ = ["HealthyNoise"]

_aten = torch.ops.aten
_Handler = Callable[..., Any]


class HealthyNoise(TorchDispatchMode):
    """Enter it around forward and backward; it may be entered again, as often as there are iterations.

    Args:
        tier: `fp32`, `tf32`, `fp16` or `bf16`: the mantissas that operands and results keep, as in the profile of
            that name. Tensors in float64, and in half precision under autocast, are scaled but not rounded further.
        seed: 0 leaves operands unscaled, so that at fp32 the run is the plain one; any other seed draws, for each
            call, log2(s) uniformly from ±½, from a generator of its own.

    Raises:
        DeviceError: the tier is none of the four.
    """

    def __init__(self, tier: str = "fp32", seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if tier not in TIERS:
            raise DeviceError("no precision tier has that name", where="tier", observed=tier, allowed=", ".join(TIERS))
        self.tier = tier
        self.seed = seed
        self._family = FAMILIES[tier]
        self._random = random.Random(seed)  # noqa: S311 - noise, not a secret
        self._handlers = {} if seed == 0 and self._family == Family() else self._make_handlers()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        handler = self._handlers.get(func)
        if handler is None:
            return func(*args, **(kwargs or {}))
        return handler(func, *args, **(kwargs or {}))

    def _make_handlers(self) -> dict[Any, _Handler]:
        return {
            _aten.convolution.default: self._convolve,
            _aten.convolution_backward.default: self._convolve_backward,
            _aten.mm.default: self._multiply,
            _aten.bmm.default: self._multiply,
            _aten.mv.default: self._multiply,
            _aten.addmm.default: self._multiply_and_add,
            _aten.baddbmm.default: self._multiply_and_add,
            _aten.addmv.default: self._multiply_and_add,
        }

    def _scale(self) -> float:
        return 1.0 if self.seed == 0 else 2.0 ** (self._random.random() - 0.5)

    def _convolve(self, op: Any, x: torch.Tensor, weight: torch.Tensor, *rest: Any) -> torch.Tensor:
        s, family = self._scale(), self._family
        y: torch.Tensor = op(_scaled(x, s, family), _scaled(weight, 1 / s, family), *rest)
        return round_to_(y, family.output_bits)

    def _convolve_backward(
        self, op: Any, grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, *rest: Any
    ) -> tuple[torch.Tensor | None, ...]:
        s, family = self._scale(), self._family
        operands = _scaled(grad, s, family), _scaled(x, 1 / s, family), _scaled(weight, 1 / s, family)
        dx, dw, db = op(*operands, *rest)
        # The bias gradient is a sum of the scaled gradient alone.
        gradients = (dx, dw, None if db is None else db / s)
        return tuple(None if g is None else round_to_(g, family.output_bits) for g in gradients)

    def _multiply(self, op: Any, a: torch.Tensor, b: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        s, family = self._scale(), self._family
        y: torch.Tensor = op(_scaled(a, s, family), _scaled(b, 1 / s, family), **kwargs)
        return round_to_(y, family.output_bits)

    def _multiply_and_add(
        self, op: Any, c: torch.Tensor, a: torch.Tensor, b: torch.Tensor, **kwargs: Any
    ) -> torch.Tensor:
        s, family = self._scale(), self._family
        y: torch.Tensor = op(c, _scaled(a, s, family), _scaled(b, 1 / s, family), **kwargs)
        return round_to_(y, family.output_bits)


def _scaled(tensor: torch.Tensor, scale: float, family: Family) -> torch.Tensor:
    if not tensor.is_floating_point() and not tensor.is_complex():
        return tensor
    # Within a dispatch mode arithmetic takes a tensor that is marked as conjugated, or negated, as it lies in memory.
    tensor = tensor.resolve_conj().resolve_neg()
    if scale == 1.0:
        return round_to(tensor, family.operand_bits)
    return round_to_(tensor * scale, family.operand_bits)
