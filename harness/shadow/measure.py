"""How far a result is from float64's, by two measures: its error's norm, and its projection."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

__all__ = ["Distance", "measure", "measure_bits", "participation"]

_Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Distance:
    """A result c beside float64's result r.

    Args:
        error: ‖c − r‖ / ‖r‖; infinite where r is zero and c is not, or where only one of the two is finite.
        projection: ⟨c − r, r⟩ / ⟨r, r⟩: the factor by which c is too large, in which rounding averages out.
        size: ‖r‖.
        spread: (Σ r²)² / Σ r⁴, from 1 to the number of elements: over how many of them rounding averages out.
    """

    error: float
    projection: float
    size: float
    spread: float


def measure(candidate: _Tensor, reference: _Tensor) -> Distance:
    """The distance of a floating result on the host, of any shape, from its float64 twin of the same shape.

    Where both overflow alike, or both are NaN, the two agree: what float64 can hold and the result's dtype can't is
    an infinity there too.
    """
    if candidate.shape != reference.shape:
        return Distance(math.inf, 0.0, math.nan, 1.0)
    c, r = candidate.reshape(-1).double(), reference.reshape(-1)
    if not (bool(torch.isfinite(c).all()) and bool(torch.isfinite(r).all())):
        finite = _both_finite(c, r, candidate.dtype)
        if finite is None:
            return Distance(math.inf, 0.0, math.nan, 1.0)
        c, r = c[finite], r[finite]
    squared = r.square()
    energy = float(squared.sum())
    difference = c - r
    distance = math.sqrt(float(difference.dot(difference)))
    if energy == 0.0:
        return Distance(math.inf if distance else 0.0, 0.0, 0.0, 1.0)
    fourth = float(squared.dot(squared))
    return Distance(
        error=distance / math.sqrt(energy),
        projection=float(difference.dot(r)) / energy,
        size=math.sqrt(energy),
        spread=max(1.0, energy * energy / fourth) if fourth else 1.0,
    )


def participation(tensor: _Tensor) -> float:
    """(Σ x²)² / Σ x⁴: how many elements carry a tensor's norm, from 1 to their number."""
    squared = tensor.detach().reshape(-1).double().square()
    fourth = float(squared.dot(squared))
    return max(1.0, float(squared.sum()) ** 2 / fourth) if fourth else 1.0


def measure_bits(candidate: _Tensor, reference: _Tensor) -> Distance:
    """The distance of a result that has to be equal bit for bit: its error is the share of elements that differ."""
    if candidate.shape != reference.shape or candidate.dtype != reference.dtype:
        return Distance(math.inf, 0.0, math.nan, 1.0)
    if not candidate.numel() or torch.equal(candidate, reference):
        return Distance(0.0, 0.0, 0.0, 1.0)
    differ = (candidate != reference) & ~(candidate.isnan() & reference.isnan())
    return Distance(float(differ.double().mean()), 0.0, 0.0, 1.0)


def _both_finite(c: _Tensor, r: _Tensor, dtype: torch.dtype) -> _Tensor | None:
    """Which elements are finite on both sides; None where the sides don't agree on it."""
    narrow = r.to(dtype).double()
    finite = torch.isfinite(c)
    # At the edge of its range a dtype may round to infinity or not; either is right.
    edge = r.abs() > 0.99 * torch.finfo(dtype).max
    same = torch.where(finite, torch.isfinite(narrow), (c == narrow) | (c.isnan() & narrow.isnan()))
    if not bool((same | edge).all()):
        return None
    return finite & torch.isfinite(r) & ~edge
