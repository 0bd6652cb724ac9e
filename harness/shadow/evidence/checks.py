"""Shadow checks: what the candidate computed beside what float64 on its own host makes of the same inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from harness.shadow.evidence.call_signature import CallSignature
from harness.shadow.evidence.cause import Cause
from harness.shadow.evidence.part import Part
from harness.shadow.evidence.unchecked import Unchecked
from harness.values.bounds import Count, NotNegative

__all__ = ["Coverage", "EffectivePrecision", "Part", "ShadowCheck", "ShadowEvidence", "ShadowRecord", "ShadowRow"]


@dataclass(frozen=True, slots=True)
class ShadowCheck:
    """One tensor that one call made or changed, beside the same call in float64 from the same inputs.

    Sizes are Euclidean norms of the candidate's result c and the float64 result r, in float64.

    Args:
        iteration: of the run, from 0.
        part: of the step.
        module: dotted path of the module that made the call, empty for none.
        op: the operation, without its namespace: ``convolution_backward``.
        tensor: which result: ``output``, ``weight gradient``, ``running mean``, a parameter's name.
        call: number of the call within the step, from 0; −1 where it is a program's.
        dtype: of the candidate's result: ``float32``.
        shape: of the result.
        contiguous: whether every tensor that went in was contiguous.
        error: ‖c − r‖ / ‖r‖; infinite where r is zero and c is not, or where only one of the two is finite.
        projection: ⟨c, r⟩ / ⟨r, r⟩ − 1, 0 where r is zero.
        scale: by how much a rounding of the inputs moves the result, over the rounding and ‖r‖; 1 where nothing
            cancels, infinite where r is zero. Measured where the error or the format asks for it, else 1.
        along: by how much a rounding of the inputs moves the projection, over the rounding; measured with ``scale``,
            else 0.
        terms: how many terms each element of the result sums, 1 for an elementwise operation.
        spread: how many roundings average out in the projection, at least 1: elements that carry the result,
            (Σ r²)² / Σ r⁴, and, for a product, as many that carry each operand, added up as resistances in parallel.
        operand: mantissa bits of the operands' dtype: 23 for float32, 10 for float16, 7 for bfloat16.
    """

    iteration: Count
    part: Part
    module: str
    op: str
    tensor: str
    call: Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
    dtype: str
    shape: tuple[Count, ...]
    contiguous: bool
    error: float
    projection: float
    scale: float = 1.0
    along: float = 0.0
    terms: NotNegative = 1.0
    spread: float = 1.0
    operand: Count = 23


@dataclass(frozen=True)
class Coverage:
    """How much of the shadowed steps was checked.

    Args:
        calls: operation → how many calls there were.
        checked: operation → how many of them were checked.
        skipped: operation or program → why not, for those that have an unchecked call.
        fallen_back: operations that the device left to its host.
        programs: check by program that couldn't be made → how many results it would have checked: of an optimizer
            without a float64 update the updates of its parameters. Each counts as a call that was not checked.
        unchecked: operation → module → how many calls weren't checked there, or not whole. Operations that weren't
            chosen are not among them.
    """

    calls: Mapping[str, int] = field(default_factory=dict)
    checked: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    fallen_back: tuple[str, ...] = ()
    programs: Mapping[str, int] = field(default_factory=dict)
    unchecked: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All that there was to check: calls, and the results of programs that couldn't be checked."""
        return sum(self.calls.values()) + sum(self.programs.values())

    @property
    def rate(self) -> float:
        """The share of ``total`` that was checked, 0 where there was none."""
        return sum(self.checked.values()) / self.total if self.total else 0.0


@dataclass(frozen=True)
class ShadowRecord:
    """Every check of a run's shadowed steps.

    Args:
        iterations: the iterations that were shadowed.
        checks: in the order of the calls.
        coverage: over all of them.
        unchecked: the calls that weren't checked, or not whole, in the order of the calls; those of operations that
            weren't chosen are counted in ``coverage`` alone.
        tier: precision tier that they were made at: what was suspicious enough to look at twice depends on it.
        signatures: (iteration, call) → what the call was given; empty in records of before they were kept.
    """

    iterations: tuple[int, ...]
    checks: tuple[ShadowCheck, ...]
    coverage: Coverage
    tier: str = ""
    unchecked: tuple[Unchecked, ...] = ()
    signatures: Mapping[tuple[int, int], CallSignature] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShadowRow:
    """The worst of the checks of one tensor over the calls and iterations, beside what a healthy kernel may have.

    Args:
        iteration: where it was worst.
        part: of the step.
        module: dotted path, empty for none.
        op: the operation.
        tensor: which result.
        error: relative error norm; infinite where not a number or not comparable.
        allowed: the largest that a healthy kernel has.
        projection: the factor, less 1, by which the result is too large.
        allowed_projection: the largest of a healthy kernel.
        calls: how many checks it is the worst of.
    """

    iteration: int
    part: Part
    module: str
    op: str
    tensor: str
    error: float
    allowed: float
    projection: float
    allowed_projection: float
    calls: int = 1

    @property
    def violated(self) -> bool:
        """Whether a healthy kernel doesn't have it. What isn't a number violates every bound."""
        return not (self.error <= self.allowed and abs(self.projection) <= self.allowed_projection)

    @property
    def excess(self) -> float:
        """How often the bound it is; above 1 where it is violated, infinite where it can't be compared."""
        ratios = (_ratio(self.error, self.allowed), _ratio(abs(self.projection), self.allowed_projection))
        return max(ratios)


@dataclass(frozen=True, slots=True)
class EffectivePrecision:
    """How many mantissa bits a family of operations shows on this device.

    Args:
        family: ``convolution forward``, ``matmul``, or an operation.
        bits: explicit mantissa bits, by the median error of its calls; 23 is float32.
        expected: what the tier expects.
        calls: how many calls it is the median of.
    """

    family: str
    bits: float
    expected: int
    calls: int


@dataclass(frozen=True)
class ShadowEvidence:
    """What shadow ops say of a run, judged.

    Args:
        iterations: the iterations that were shadowed.
        tier: the precision tier that they were judged at.
        rows: a row a tensor, in the order of the step.
        precisions: by family.
        coverage: what was checked.
        left_out: how many further rows there were, none of them a violation: kept evidence is bounded.
        causes: what the violations come from, by iteration; empty where there are none, or before they are looked for.
    """

    iterations: tuple[int, ...]
    tier: str
    rows: tuple[ShadowRow, ...]
    precisions: tuple[EffectivePrecision, ...]
    coverage: Coverage
    left_out: int = 0
    causes: tuple[Cause, ...] = ()

    @property
    def violations(self) -> tuple[ShadowRow, ...]:
        """The rows that a healthy kernel doesn't have, in the order of the step."""
        return tuple(row for row in self.rows if row.violated)


def _ratio(observed: float, allowed: float) -> float:
    if math.isnan(observed) or math.isnan(allowed):
        return math.inf
    if observed == 0.0 or allowed == math.inf:
        return 0.0
    return observed / allowed if allowed else math.inf
