"""How far a result is from float64's, by two measures: its error's norm, and its projection."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

__all__ = [
    "NOT_MEASURED",
    "Distance",
    "measure",
    "measure_bits",
    "measure_where_finite",
    "participation",
    "smallest_normal_of",
]

_Tensor = torch.Tensor

_CHUNK = 1 << 15
"""Elements that are looked at at once: what is held beside the two results stays in a core's cache."""


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


NOT_MEASURED = Distance(math.nan, math.nan, math.nan, math.nan)
"""Of two results that nobody has compared yet: it violates every bound."""

_NOT_COMPARABLE = Distance(math.inf, 0.0, math.nan, 1.0)


def measure(candidate: _Tensor, reference: _Tensor, flushed: float = 0.0) -> Distance:
    """The distance of a floating result on the host, of any shape, from its float64 twin of the same shape.

    Where both overflow alike, or both are NaN, the two agree: what float64 can hold and the result's dtype can't is
    an infinity there too.

    Args:
        candidate: the result, real or complex.
        reference: float64's.
        flushed: what a device may take for zero: elements that are off by no more are not off.
    """
    if candidate.shape != reference.shape:
        return _NOT_COMPARABLE
    dtype = candidate.dtype
    if candidate.is_complex():
        candidate, reference = (
            torch.view_as_real(candidate.resolve_conj()),
            torch.view_as_real(reference.resolve_conj()),
        )
    candidate, reference = candidate.double(), reference.double()
    energy, fourth, distance, along = 0.0, 0.0, 0.0, 0.0
    for c, r in zip(candidate.reshape(-1).split(_CHUNK), reference.reshape(-1).split(_CHUNK), strict=True):
        sums = _sums(c, r)
        if not all(map(math.isfinite, sums)):  # the elements are looked at only where their sums ask for it
            both = _both_finite(c, r, _PART.get(dtype, dtype))
            if both is None:
                return _NOT_COMPARABLE
            sums = _sums(*both)
        energy, fourth, distance, along = energy + sums[0], fourth + sums[1], distance + sums[2], along + sums[3]
    if not (math.isfinite(energy) and math.isfinite(distance)):  # float64's own numbers, whose squares it can't hold
        return _of_huge(candidate, reference)
    if distance and math.sqrt(distance) <= flushed * math.sqrt(candidate.numel()):
        distance = along = 0.0
    if energy == 0.0:
        return Distance(math.inf if distance else 0.0, 0.0, 0.0, 1.0)
    return Distance(
        error=math.sqrt(distance / energy),
        projection=along / energy,
        size=math.sqrt(energy),
        spread=_participation(energy, fourth),
    )


def measure_where_finite(candidate: _Tensor, reference: _Tensor, flushed: float = 0.0) -> Distance:
    """The distance of what an operation that mixes elements makes of some that aren't finite.

    Where infinities and NaN come out then is each healthy kernel's own: one leaves out what is padded, which another
    multiplies by zero; Winograd's transform spreads one element over a tile; a mean is infinite, and what is less than
    it has no number. So the elements that are finite on both sides are compared. That all of them are on one side
    alone is no kernel's own: what isn't finite doesn't vanish.

    Args:
        candidate: the result, of any shape, real or complex.
        reference: float64's.
        flushed: as ``measure`` has it.
    """
    if candidate.shape != reference.shape:
        return _NOT_COMPARABLE
    mine, theirs = candidate.isfinite(), reference.to(candidate.dtype).isfinite()
    if bool(mine.all()) != bool(theirs.all()):
        return _NOT_COMPARABLE
    both = mine & theirs
    return measure(candidate[both], reference[both], flushed)


def _of_huge(candidate: _Tensor, reference: _Tensor) -> Distance:
    """The distance of float64 numbers beyond 1e154, measured at a scale where they have squares."""
    scale = float(torch.nan_to_num(torch.stack([candidate, reference]).abs(), nan=0.0, posinf=0.0).max())
    found = measure(candidate / scale, reference / scale)
    return replace(found, size=found.size * scale)


def _sums(made: _Tensor, due: _Tensor) -> tuple[float, float, float, float]:
    """Σ r², Σ r⁴, Σ (c − r)² and Σ (c − r) r of a chunk, (n,) each; with an element, one of them isn't finite."""
    squared, difference = due.square(), made - due
    return (
        float(squared.sum()),
        float(squared.dot(squared)),
        float(difference.dot(difference)),
        float(difference.dot(due)),
    )


_PART = {torch.complex64: torch.float32, torch.complex128: torch.float64}
"""Complex dtype → that of its parts."""


def smallest_normal_of(dtype: torch.dtype) -> float:
    """Below it a device may flush a number to zero; half precision's range, which gradients lie in, no device cuts."""
    dtype = _PART.get(dtype, dtype)
    return float(torch.finfo(dtype).tiny) if dtype in {torch.float32, torch.bfloat16} else 0.0


def participation(tensor: _Tensor) -> float:
    """(Σ x²)² / Σ x⁴: how many elements carry a tensor's norm, from 1 to their number."""
    energy = fourth = 0.0
    for part in tensor.detach().reshape(-1).split(_CHUNK):
        squared = (part.abs() if part.is_complex() else part).double().square()
        energy += float(squared.sum())
        fourth += float(squared.dot(squared))
    return _participation(energy, fourth)


def measure_bits(candidate: _Tensor, reference: _Tensor) -> Distance:
    """The distance of a result that has to be equal bit for bit: its error is the share of elements that differ."""
    if candidate.shape != reference.shape or candidate.dtype != reference.dtype:
        return _NOT_COMPARABLE
    if not candidate.numel() or torch.equal(candidate, reference):
        return Distance(0.0, 0.0, 0.0, 1.0)
    differ = (candidate != reference) & ~(candidate.isnan() & reference.isnan())
    return Distance(float(differ.double().mean()), 0.0, 0.0, 1.0)


def _participation(energy: float, fourth: float) -> float:
    return max(1.0, energy * energy / fourth) if fourth else 1.0


def _both_finite(c: _Tensor, r: _Tensor, dtype: torch.dtype) -> tuple[_Tensor, _Tensor] | None:
    """The elements that are finite on both sides, (n,) each; None where the sides don't agree on which."""
    finite, narrow = torch.isfinite(c), r.to(dtype).double()
    if bool(finite.all()) and bool(torch.isfinite(narrow).all()):
        return c, r
    # At the edge of its range a dtype may round to infinity or not; either is right. Beyond it infinity alone is.
    largest = torch.finfo(dtype).max
    edge = (r.abs() > 0.99 * largest) & (r.abs() < largest / 0.99)
    # Where float64 meets infinities of both signs and has no number, a sum in another order overflows before it does.
    same = torch.where(finite, torch.isfinite(narrow), (c == narrow) | narrow.isnan())
    if not bool((same | edge).all()):
        return None
    kept = finite & torch.isfinite(narrow) & ~edge
    return c[kept], r[kept]
