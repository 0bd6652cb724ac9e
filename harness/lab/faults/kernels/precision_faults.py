"""Faults of precision: fewer bits than the device promises, and the range of half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault
from harness.recording.mantissa_rounding import flush_subnormals, round_to

__all__ = [
    "batch_norm_in_half",
    "bias_gradient_summed_in_bfloat16",
    "gradient_through_half",
    "matmul_rounded",
    "operands_truncated",
    "outputs_rounded",
    "overflow_becomes_zero",
    "partial_sums_in_half",
    "subnormals_flushed",
    "upsampling_in_half",
    "weight_gradient_rounded",
]


def _outputs(name: str, change: Callable[[Any], Any]) -> dict[str, Wrapper]:
    def wrapper(run: Run, *args: Any, **kwargs: Any) -> Any:
        return change(run(*args, **kwargs))

    return {name: wrapper}


def _bits(fault: Fault) -> int:
    return round(fault.severity or 1)


@KERNELS.strikes("conv-output-bf16")
def outputs_rounded(fault: Fault) -> dict[str, Wrapper]:
    """Convolutions write results of severity mantissa bits."""
    return _outputs("convolution", lambda y: round_to(y, _bits(fault)))


@KERNELS.strikes("bmm-in-bf16")
def matmul_rounded(fault: Fault) -> dict[str, Wrapper]:
    """Batched products write results of severity mantissa bits."""
    return _outputs("bmm", lambda y: round_to(y, _bits(fault)))


@KERNELS.strikes("conv-wgrad-bf16")
def weight_gradient_rounded(fault: Fault) -> dict[str, Wrapper]:
    """Weight gradients of convolutions keep severity mantissa bits."""

    def change(gradients: Any) -> Any:
        dx, dw, db = gradients
        return dx, None if dw is None else round_to(dw, _bits(fault)), db

    return _outputs("convolution_backward", change)


def _truncated(x: Any, bits: int) -> Any:
    if x.dtype is not torch.float32:
        return x
    return x.view(torch.int32).bitwise_and(-(1 << (23 - bits))).view(torch.float32)


@KERNELS.strikes("conv-operands-truncated")
def operands_truncated(fault: Fault) -> dict[str, Wrapper]:
    """Operands of the forward convolution are cut to severity mantissa bits instead of rounded, which has a bias."""

    def convolution(run: Run, x: Any, weight: Any, *rest: Any) -> Any:
        return run(_truncated(x, _bits(fault)), _truncated(weight, _bits(fault)), *rest)

    return {"convolution": convolution}


@KERNELS.strikes("conv-partial-sums-half")
def partial_sums_in_half(fault: Fault) -> dict[str, Wrapper]:
    """Convolutions sum over severity groups of input channels, and keep each partial sum in half precision."""

    def convolution(run: Run, x: Any, weight: Any, bias: Any, *geometry: Any) -> Any:
        transposed, groups = geometry[3], geometry[5]
        parts = min(round(fault.severity or 1), x.shape[1])
        if transposed or groups != 1 or parts < 2:
            return run(x, weight, bias, *geometry)
        y = None
        for inputs, kernel in zip(x.chunk(parts, 1), weight.chunk(parts, 1), strict=True):
            part = run(inputs, kernel, None, *geometry)
            y = (part if y is None else y + part).half().to(x.dtype)
        return y if bias is None else y + bias.view(1, -1, *[1] * (x.dim() - 2))

    return {"convolution": convolution}


@KERNELS.strikes("bn-input-half")
def batch_norm_in_half(fault: Fault) -> dict[str, Wrapper]:
    """Batch norm's input passes through half precision on its way to the statistics."""

    def native_batch_norm(run: Run, x: Any, *rest: Any) -> Any:
        return run(x.half().to(x.dtype), *rest)

    return {"native_batch_norm": native_batch_norm}


@KERNELS.strikes("upsample-in-half")
def upsampling_in_half(fault: Fault) -> dict[str, Wrapper]:
    """Upsampling reads half-precision pixels."""

    def forward(run: Run, x: Any, *rest: Any, **kwargs: Any) -> Any:
        return run(x.half().to(x.dtype), *rest, **kwargs)

    return {"upsample_bilinear2d": forward}


@KERNELS.strikes("gradient-through-half")
def gradient_through_half(fault: Fault) -> dict[str, Wrapper]:
    """The gradient that enters a convolution's backward passes through half precision, with no loss scale."""

    def convolution_backward(run: Run, grad: Any, *rest: Any) -> Any:
        return run(grad.half().to(grad.dtype), *rest)

    return {"convolution_backward": convolution_backward}


@KERNELS.strikes("conv-bias-gradient-summed-in-bf16")
def bias_gradient_summed_in_bfloat16(fault: Fault) -> dict[str, Wrapper]:
    """Bias gradients are summed one row of pixels after the other, in an accumulator of bfloat16."""

    def convolution_backward(run: Run, grad: Any, *rest: Any) -> Any:
        dx, dw, db = run(grad, *rest)
        if db is None or grad.dim() != 4:
            return dx, dw, db
        total = torch.zeros_like(db)
        for row in grad.sum(3).transpose(1, 2).flatten(0, 1):
            total = (total + row).bfloat16().to(db.dtype)
        return dx, dw, total

    return {"convolution_backward": convolution_backward}


@KERNELS.strikes("fp16-overflow-to-zero")
def overflow_becomes_zero(fault: Fault) -> dict[str, Wrapper]:
    """A cast to half precision makes zero, not infinity, of what is past 65504: no loss scaler ever notices."""

    def cast(run: Run, x: Any, **kwargs: Any) -> Any:
        return silenced(run(x, **kwargs))

    def copy_(run: Run, target: Any, source: Any, *rest: Any) -> Any:
        target = run(target, source, *rest)
        return target.copy_(silenced(target)) if target.dtype is torch.float16 else target

    def silenced(y: Any) -> Any:
        return y.masked_fill(y.isinf(), 0) if y.dtype is torch.float16 else y

    return {"_to_copy": cast, "copy_": copy_}


@KERNELS.strikes("subnormals-flushed")
def subnormals_flushed(fault: Fault) -> dict[str, Wrapper]:
    """Convolutions write zero for a subnormal result: within the rights of most accelerators."""
    return _outputs("convolution", flush_subnormals)
