"""Shadow checks: what the candidate computed beside what float64 on its own host makes of the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Coverage", "Part", "ShadowCheck", "ShadowRecord"]


class Part(str, Enum):
    """The part of a training step that a check belongs to."""

    FORWARD = "forward"
    BACKWARD = "backward"
    OPTIMIZER = "optimizer"
    BUFFERS = "buffers"
    LOSS = "loss"
    TRANSFER = "transfer"
    RANDOM = "random"
    REDUCE = "reduce"


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
        call: number of the call within the step, from 0.
        dtype: of the candidate's result: ``float32``.
        shape: of the result.
        contiguous: whether every tensor that went in was contiguous.
        error: ‖c − r‖ / ‖r‖; infinite where r is zero and c is not, or where only one of the two is finite.
        projection: ⟨c, r⟩ / ⟨r, r⟩ − 1, 0 where r is zero.
        scale: how large the result is where nothing cancels, over ‖r‖; at least 1, infinite where r is zero and the
            inputs are not. Rounding is relative to it.
        terms: how many terms each element of the result sums, 1 for an elementwise operation.
        spread: how many elements carry the result: (Σ r²)² / Σ r⁴, at least 1; what rounding averages out over.
        operand: mantissa bits of the operands' dtype: 23 for float32, 10 for float16, 7 for bfloat16.
    """

    iteration: int
    part: Part
    module: str
    op: str
    tensor: str
    call: int
    dtype: str
    shape: tuple[int, ...]
    contiguous: bool
    error: float
    projection: float
    scale: float = 1.0
    terms: float = 1.0
    spread: float = 1.0
    operand: int = 23


@dataclass(frozen=True)
class Coverage:
    """How much of the shadowed steps was checked.

    Args:
        calls: operation → how many calls there were.
        checked: operation → how many of them were checked.
        skipped: operation → why not, for those that have an unchecked call.
        fallen_back: operations that the device left to its host.
    """

    calls: Mapping[str, int] = field(default_factory=dict)
    checked: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    fallen_back: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """The share of calls that were checked, 0 where there was none."""
        total = sum(self.calls.values())
        return sum(self.checked.values()) / total if total else 0.0


@dataclass(frozen=True)
class ShadowRecord:
    """Every check of a run's shadowed steps.

    Args:
        iterations: the iterations that were shadowed.
        checks: in the order of the calls.
        coverage: over all of them.
        tier: precision tier that the device was told to compute at, ``""`` where it is the candidate's to show.
    """

    iterations: tuple[int, ...]
    checks: tuple[ShadowCheck, ...]
    coverage: Coverage
