"""What a row of shadow ops says, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from harness.shadow.evidence.checks import EffectivePrecision, Part, ShadowEvidence, ShadowRow
from harness.shadow.evidence.reproduction import Reproduction
from harness.shadow.judging.operations import bits_of
from reports.words.wording import NOTHING, relative

__all__ = [
    "bits_words",
    "module_words",
    "precision_words",
    "precisions_line",
    "program_file",
    "program_words",
    "projection_words",
    "row_name",
    "row_words",
    "shadow_amount",
    "steps_words",
    "worst_first",
]

_NAMED = ("convolution forward", "convolution backward", "matmul", "attention")
"""Families that a precision tier is about: said first."""


def row_words(row: ShadowRow) -> str:
    """The row as a sentence: where, what, at which iteration, and what a healthy kernel may have."""
    return f"{row_name(row)}: {_deviation(row)}"


def shadow_amount(value: float, row: ShadowRow) -> str:
    """A row's error or its bound with its unit: ``0.30 %``; of a format ``7 bits``, of a draw ``0.04 σ``."""
    if row.part is Part.PRECISION:
        return f"{bits_of(value)} bits"
    if row.part is Part.RANDOM and row.tensor == "distribution" and math.isfinite(value):
        return f"{value:.2g} σ"
    return relative(value)


def projection_words(value: float, row: ShadowRow, *, signed: bool = False) -> str:
    """A row's projection or its bound; nothing where the projection has no bound."""
    return relative(value, signed=signed) if math.isfinite(row.allowed_projection) else NOTHING


def program_words(found: Reproduction) -> str:
    """What a program reproduces."""
    where = ", ".join(filter(None, (found.module, found.op, found.tensor)))
    process = f", in process {found.rank}" if found.rank else ""
    return f"{where or 'not told'}{process}"


def program_file(found: Reproduction | None) -> str:
    """The file of a reproduction's program, beside the page; empty where it has none."""
    return f"reproduce/{found.number}.py" if found is not None and found.program else ""


def bits_words(bits: float) -> str:
    """Effective bits of a family; nothing where its calls don't show any."""
    return f"{bits:.1f}" if math.isfinite(bits) else NOTHING


def module_words(module: tuple[str, int]) -> str:
    """A module, and how many of the calls in question it made."""
    name, calls = module
    return f"{name or 'no module'} ({calls} times)" if calls > 1 else name or "no module"


def row_name(row: ShadowRow) -> str:
    """Module, operation and tensor: ``backbone.layer3.0.conv2, convolution_backward, weight gradient``."""
    return ", ".join(filter(None, (row.module, row.op, row.tensor)))


def precision_words(precision: EffectivePrecision) -> str:
    """``convolution forward 10 bits (at least 10 demanded)``; fewer are no violation, whose bounds have a margin."""
    bits = f"{precision.bits:.0f}" if math.isfinite(precision.bits) else "no"
    least = "at least " if not precision.bits < precision.expected - 0.5 else ""
    return f"{precision.family} {bits} bits ({least}{precision.expected} demanded)"


def precisions_line(precisions: Iterable[EffectivePrecision]) -> str:
    """The effective precision of the families that a tier is about, in one line; empty where none was seen."""
    known = {precision.family: precision for precision in precisions}
    return ", ".join(precision_words(known[name]) for name in _NAMED if name in known)


def steps_words(iterations: Sequence[int]) -> str:
    """``1 step (iteration 0)``, ``3 steps (iterations 0, 1 and 29)``."""
    numbers = [str(number) for number in iterations]
    listed = " and ".join(filter(None, (", ".join(numbers[:-1]), numbers[-1]))) if numbers else "none"
    plural = "" if len(numbers) == 1 else "s"
    return f"{len(numbers)} step{plural} (iteration{plural} {listed})"


def worst_first(evidence: ShadowEvidence) -> list[ShadowRow]:
    """Every row, the violated before the others and each by how often its bound it is."""
    return sorted(evidence.rows, key=lambda row: (not row.violated, -row.excess))


def _deviation(row: ShadowRow) -> str:
    at = f"at iteration {row.iteration}"
    if row.part is Part.RANDOM:
        if row.tensor == "stream":
            return f"the generator's stream {'can not be' if row.violated else 'is'} repeated {at}"
        return f"its mean is {row.error:.2g} standard deviations off {at} (allowed {row.allowed:.2g})"
    if row.part is Part.PRECISION:
        return f"stored with {bits_of(row.error)} mantissa bits {at} (at least {bits_of(row.allowed)} demanded)"
    if not math.isfinite(row.error):
        return f"not comparable with the host's result {at}, by its shape or by values that aren't finite"
    if row.allowed == 0.0:
        return f"{relative(row.error)} of the elements differ {at}, where none may"
    along = abs(row.projection) / row.allowed_projection if row.allowed_projection else math.inf
    if row.projection and along >= row.error / row.allowed:
        side = "large" if row.projection > 0 else "small"
        said = f"{relative(abs(row.projection))} too {side} {at} (allowed {relative(row.allowed_projection)})"
    else:
        said = f"off by {relative(row.error)} in norm {at} (allowed {relative(row.allowed)})"
    return f"{said}; its inputs agree" if row.violated else said
