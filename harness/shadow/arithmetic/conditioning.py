"""How far an operation carries a rounding of its inputs: measured by rounding them at random.

A backward stable kernel computes the exact result of slightly changed inputs (Higham, *Accuracy and Stability of
Numerical Algorithms*, 2nd ed. 2002, §1.5). Where a result cancels, as the gradient of a bias that batch normalization
takes away does, a change of the last bit of the inputs moves all of it, and a relative error of 1 is healthy. So the
change is made: every element of every floating input is moved by ± u of itself at random, the float64 operation runs
again, and what the result moved by, over u, is the scale that a rounding is relative to (stochastic arithmetic: Parker,
*Monte Carlo Arithmetic*, 1997).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from harness.shadow.arithmetic.host import map_tensors

__all__ = ["change_of", "coins", "measure_scale", "perturbed"]

_STEP = 2.0**-20
"""Small enough for the operation to be linear in it, 2³³ times float64's own rounding."""

_DRAWS = {1: 16, 16: 8}
"""Elements in a result, at most → how often the inputs are changed."""

_FEWEST_DRAWS = 4
"""The norm of a large result averages by itself; its projection is one number a draw, and could be small by luck."""


def measure_scale(
    run: Callable[[Sequence[Any], Mapping[str, Any]], Sequence[torch.Tensor]],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    results: Sequence[torch.Tensor],
    seed: int,
    smallest: float = 0.0,
) -> list[tuple[float, float]]:
    """By how much a rounding u of the inputs moves each result, over u.

    Args:
        run: computes the results, in float64, from arguments that it may change.
        args: the positional arguments, in float64, as the call met them.
        kwargs: the keyword arguments, likewise.
        results: what the call makes of them.
        seed: of the draws.
        smallest: what an element is at least taken for when it is rounded.

    Returns:
        For each result: ‖δr‖ / u and ⟨δr, r⟩ / (u ⟨r, r⟩), root mean square over the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    fewest = min((result.numel() for result in results), default=1)
    draws = next((count for elements, count in _DRAWS.items() if fewest <= elements), _FEWEST_DRAWS)
    moved = [[0.0, 0.0] for _ in results]
    for _ in range(draws):
        changed_args = [perturbed(value, generator, smallest) for value in args]
        changed_kwargs = {name: perturbed(value, generator, smallest) for name, value in kwargs.items()}
        for total, before, after in zip(moved, results, run(changed_args, changed_kwargs), strict=True):
            change, along = change_of(before, after)
            total[0] += change * change
            total[1] += along * along
    return [(math.sqrt(norm / draws) / _STEP, math.sqrt(along / draws) / _STEP) for norm, along in moved]


def change_of(before: torch.Tensor, after: torch.Tensor) -> tuple[float, float]:
    """‖δr‖ and ⟨δr, r⟩ / ⟨r, r⟩ of a result's change δr, where it is finite; the second 0 where r is zero."""
    if before.is_complex():
        before, after = torch.view_as_real(before.resolve_conj()), torch.view_as_real(after.resolve_conj())
    change, r = (after - before).reshape(-1).nan_to_num(0, 0, 0), before.reshape(-1).nan_to_num(0, 0, 0)
    energy = float(r.dot(r))
    return math.sqrt(float(change.dot(change))), float(change.dot(r)) / energy if energy else 0.0


def perturbed(value: Any, generator: torch.Generator, smallest: float = 0.0) -> Any:
    """A float64 argument with each element x moved by ± u · max(|x|, smallest), anything else as a copy."""

    def change(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_complex():
            parts = perturbed(torch.view_as_real(tensor.resolve_conj()), generator, smallest)
            return torch.view_as_complex(parts.contiguous())
        if not tensor.is_floating_point():
            return tensor.clone()
        steps = coins(tensor.numel(), generator).view(tensor.shape).mul_(2 * _STEP).sub_(_STEP)
        return steps.mul_(tensor.abs().clamp_min_(smallest) if smallest else tensor).add_(tensor)

    return map_tensors(value, change)


def coins(count: int, generator: torch.Generator) -> torch.Tensor:
    """Zeros and ones with equal chances, (count,) float64: one bit of each byte of the 63 that a drawn word has."""
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(generator=generator)
    return words.view(torch.int8)[:count].bitwise_and_(1).double()
