"""A profile's numerics, as wrappers of single operations.

Each wrapper gets host tensors and the function that would run next, and answers in the dtype that it was given. Half
precision comes in as such under autocast: it is computed in float32 and rounded once at the end, as an accelerator with
float32 accumulators does.
"""

from __future__ import annotations

from typing import Any

import torch

from harness.lab.emulation import ordering
from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.emulation.profiles import Profile
from harness.recording.mantissa_rounding import flush_subnormals, round_to, round_to_
from harness.values.precision import Family

__all__ = ["wrappers"]

Tensor = torch.Tensor
_HALVES = (torch.float16, torch.bfloat16)


def wrappers(profile: Profile) -> dict[str, Wrapper]:
    """Operation name → wrapper, for every operation that the profile changes."""
    if profile.is_exact:
        return {}
    matmul = _matmul(profile)
    return {
        **(ordering.OPERATIONS if profile.reorder else {}),
        "convolution": _convolution(profile),
        "convolution_backward": _convolution_backward(profile),
        "mm": matmul,
        "bmm": matmul,
        "mv": matmul,
        "addmm": _added_matmul(profile),
        "baddbmm": _added_matmul(profile),
        "addmv": _added_matmul(profile),
    }


def _operand(tensor: Tensor, family: Family) -> Tensor:
    if tensor.dtype in _HALVES:
        return tensor.float()
    return round_to(tensor, family.operand_bits, half_range=family.half_range)


def _flipped(tensor: Tensor, dim: int | tuple[int, ...], family: Family) -> Tensor:
    """The rounded operand, to be summed over `dim` from its other end."""
    if tensor.dtype in _HALVES:
        return tensor.flip(dim).float()
    return round_to_(tensor.flip(dim), family.operand_bits, half_range=family.half_range)


def _result(tensor: Tensor, dtype: torch.dtype, family: Family, profile: Profile) -> Tensor:
    rounded = round_to_(tensor, family.output_bits, half_range=family.half_range)
    if profile.flush_to_zero:
        rounded = flush_subnormals(rounded)
    return rounded.to(dtype)


def _is_rounded(*tensors: Tensor) -> bool:
    """float64 and integers are left to the host: no profile speaks of them."""
    return all(t.dtype is torch.float32 or t.dtype in _HALVES for t in tensors)


def _convolution(profile: Profile) -> Wrapper:
    family = profile.convolution

    def convolution(run: Run, x: Tensor, weight: Tensor, bias: Tensor | None, *geometry: Any) -> Tensor:
        """X (N, C, H, W), weight (K, C/groups, R, S); the sum runs over C, R and S."""
        if not _is_rounded(x, weight):
            return run(x, weight, bias, *geometry)  # type: ignore[no-any-return]
        transposed, groups = geometry[3], geometry[5]
        bias32 = None if bias is None else bias.float()
        # A transposed convolution sums over the weight's first axis; groups would have to be flipped one by one.
        if profile.reorder and groups == 1:
            y = run(_flipped(x, 1, family), _flipped(weight, 0 if transposed else 1, family), bias32, *geometry)
        else:
            y = run(_operand(x, family), _operand(weight, family), bias32, *geometry)
        return _result(y, x.dtype, family, profile)

    return convolution


def _convolution_backward(profile: Profile) -> Wrapper:
    family = profile.convolution_backward

    def convolution_backward(
        run: Run, grad: Tensor, x: Tensor, weight: Tensor, bias_sizes: Any, *geometry: Any
    ) -> tuple[Tensor | None, ...]:
        """The gradients of x, weight and bias; x's is summed over output channels, the weight's over the batch."""
        if not _is_rounded(grad, x, weight):
            return run(grad, x, weight, bias_sizes, *geometry)  # type: ignore[no-any-return]
        transposed, groups = geometry[3], geometry[5]
        if not profile.reorder:
            gradients = run(*(_operand(t, family) for t in (grad, x, weight)), bias_sizes, *geometry)
        elif groups == 1:
            # Batch and output channels from their other ends; both flips are undone in the gradients.
            out_axis = 1 if transposed else 0
            g, x32, w32 = _flipped(grad, (0, 1), family), _flipped(x, 0, family), _flipped(weight, out_axis, family)
            dx, dw, db = run(g, x32, w32, bias_sizes, *geometry)
            gradients = _unflipped(dx, 0), _unflipped(dw, out_axis), _unflipped(db, 0)
        else:
            g, x32, w32 = _flipped(grad, 0, family), _flipped(x, 0, family), _operand(weight, family)
            dx, dw, db = run(g, x32, w32, bias_sizes, *geometry)
            gradients = _unflipped(dx, 0), dw, db
        dtypes = (x.dtype, weight.dtype, weight.dtype)
        return tuple(
            None if gradient is None else _result(gradient, dtype, family, profile)
            for gradient, dtype in zip(gradients, dtypes, strict=True)
        )

    return convolution_backward


def _unflipped(tensor: Tensor | None, dim: int) -> Tensor | None:
    return None if tensor is None else tensor.flip(dim)


def _matmul(profile: Profile) -> Wrapper:
    family = profile.matmul

    def matmul(run: Run, a: Tensor, b: Tensor, **kwargs: Any) -> Tensor:
        """A (…, M, K) @ b (…, K, N), or b (K,)."""
        if not _is_rounded(a, b):
            return run(a, b, **kwargs)  # type: ignore[no-any-return]
        return _result(run(*_factors(a, b, profile), **kwargs), a.dtype, family, profile)

    return matmul


def _added_matmul(profile: Profile) -> Wrapper:
    family = profile.matmul

    def added_matmul(run: Run, c: Tensor, a: Tensor, b: Tensor, **kwargs: Any) -> Tensor:
        """Beta c + alpha (a @ b)."""
        if not _is_rounded(a, b):
            return run(c, a, b, **kwargs)  # type: ignore[no-any-return]
        return _result(run(c.float(), *_factors(a, b, profile), **kwargs), a.dtype, family, profile)

    return added_matmul


def _factors(a: Tensor, b: Tensor, profile: Profile) -> tuple[Tensor, Tensor]:
    family = profile.matmul
    if not profile.reorder:
        return _operand(a, family), _operand(b, family)
    return _flipped(a, -1, family), _flipped(b, -1 if b.dim() == 1 else -2, family)
