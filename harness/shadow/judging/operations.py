"""Shadow ops: every operation of the candidate's step stays as close to float64 as its precision tier lets it.

Nothing piles up, since each operation is held against float64 from its own inputs: a bound follows from the operation's
own rounding (``rounding``), and a violation names the operation and the module. Two measures are bounded: the norm of
the error, and the projection on the float64 result, in which the rounding of so many elements averages out, so that a
factor of 1.001 shows where the error's norm hides it. And the format that a result was stored in has the bits that the
tier keeps (``least_stored``).

The margins are twice the largest that healthy ports were seen to have of the modelled rounding, rounded up: 40 training
steps of four models at five precision tiers (``python benchmarks/shadow_healthy.py --seeds 1000-1001``), seeds that
nothing else uses. ``docs/shadow.md`` has the figures.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.rules.bounded import percent
from harness.shadow.evidence.cause import Cause
from harness.shadow.evidence.checks import (
    EffectivePrecision,
    Part,
    ShadowCheck,
    ShadowEvidence,
    ShadowRecord,
    ShadowRow,
)
from harness.shadow.judging.error_model import (
    family_of,
    kept_bits,
    least_stored,
    mantissa_bits,
    rounding,
    smallest_normal,
    unit_roundoff,
)
from harness.values.verdict import Finding, Outcome

__all__ = [
    "RULE",
    "Allowance",
    "Margin",
    "allow",
    "allow_rounding",
    "bits_of",
    "deviation_words",
    "foremost",
    "judge_shadow",
    "margin_of",
    "weigh_check",
    "weigh_shadow",
]

RULE = "shadow"


@dataclass(frozen=True, slots=True)
class Margin:
    """How often the modelled rounding a healthy kernel may have.

    Args:
        error: in the error's norm.
        projection: in the projection.
    """

    error: float
    projection: float


_USUAL = Margin(4.0, 5.0)

_MARGINS: Mapping[str, Margin] = {
    "convolution forward": Margin(1.2, 4.2),
    "convolution backward": Margin(3.5, 4.0),
    "matmul": Margin(1.4, 10.0),
}

_IN_HALF_RANGE = Margin(6.0, 14.0)
"""Of what passes through half precision: gradients lie where it has few bits left, and some fall to zero."""

RANDOM_MARGIN = 6.0
"""Standard deviations that the mean of a random draw may be from its expectation: 2e-9 by chance."""

_EXACT = frozenset({Part.TRANSFER})
"""What only moves has nothing to round."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a healthy kernel may have.

    Args:
        error: relative error norm.
        projection: |projection|.
    """

    error: float
    projection: float


def margin_of(op: str, dtype: str, tier: str) -> Margin:
    """How often the modelled rounding a healthy kernel may have, of an operation, its result's dtype and a tier."""
    return _IN_HALF_RANGE if smallest_normal(op, dtype, tier) else _MARGINS.get(family_of(op), _USUAL)


def allow(check: ShadowCheck, tier: str) -> Allowance:
    """What a healthy kernel may have of one check at a tier, a key of ``SHADOW_TIERS``."""
    spread = max(1.0, check.spread)  # nothing was drawn, or averages out
    if check.part is Part.RANDOM:
        return Allowance(RANDOM_MARGIN / math.sqrt(spread) if check.tensor == "distribution" else 0.0, math.inf)
    if check.part is Part.PRECISION:
        least = least_stored(check.op, check.dtype, check.operand, check.terms, tier, check.scale)
        return Allowance(unit_roundoff(least), math.inf)
    if (check.part in _EXACT and check.op != "feed") or not check.dtype.startswith(("float", "bfloat", "complex")):
        return Allowance(0.0, math.inf)
    numbers = (check.dtype, check.operand, check.terms, spread, check.scale, check.along)
    return allow_rounding(check.op, *numbers, tier=tier)


def allow_rounding(
    op: str, dtype: str, operand: int, terms: float, spread: float, scale: float = 1.0, along: float = 0.0, *, tier: str
) -> Allowance:
    """What a healthy kernel may round.

    Args:
        op: the operation.
        dtype: of its result, by name.
        operand: mantissa bits of its operands' dtype.
        terms: as a check has them, as the following are.
        spread: how many roundings average out.
        scale: by how much a healthy kernel's roundings move the result, over the modelled rounding.
        along: by how much they move the projection.
        tier: a key of ``SHADOW_TIERS``.
    """
    spread = max(1.0, spread)
    base = rounding(op, dtype, operand, terms, tier)
    averaged = base * max(scale / math.sqrt(spread), along)
    # Equal elements are rounded alike, as those of a mask are: then nothing averages out. Sums are hardly ever equal.
    alike = unit_roundoff(mantissa_bits(dtype) if terms == 1 else mantissa_bits("float32"))
    margin = margin_of(op, dtype, tier)
    error = max(margin.error, _TYPICAL_OF_MODEL * _largest_norm(spread))
    return Allowance(
        error=error * base * scale,
        projection=margin.projection * averaged + error * min(alike, base),
    )


_TYPICAL_OF_MODEL = 0.45
"""What roundings of operands are over the model, root mean square: √(1 / (8 ln 2)), ``_TYPICAL`` over √2."""


def _largest_norm(roundings: float) -> float:
    """The norm of so many independent errors of one size over its root mean square, as large as one in 10⁹ is.

    The quantile of χ² by E. B. Wilson & M. M. Hilferty, "The distribution of chi-square", *PNAS* 17 (1931): few
    roundings don't average out, and the margins of large results are none for them.
    """
    share = 2 / (9 * roundings)
    return float((1 - share + 6.0 * math.sqrt(share)) ** 1.5)


def weigh_check(check: ShadowCheck, tier: str) -> ShadowRow:
    """One check beside what a healthy kernel may have at a tier, a key of ``SHADOW_TIERS``."""
    allowed = allow(check, tier)
    return ShadowRow(
        iteration=check.iteration,
        part=check.part,
        module=check.module,
        op=check.op,
        tensor=check.tensor,
        error=check.error,
        allowed=allowed.error,
        projection=check.projection,
        allowed_projection=allowed.projection,
    )


def weigh_shadow(record: ShadowRecord, tier: str) -> ShadowEvidence:
    """The record's checks, each tensor's worst beside what a healthy kernel may have, and the precision they show.

    Args:
        record: of a run.
        tier: a key of ``SHADOW_TIERS``.
    """
    groups: dict[tuple[Part, str, str, str], list[ShadowRow]] = defaultdict(list)
    for check in record.checks:
        groups[check.part, check.module, check.op, check.tensor].append(weigh_check(check, tier))
    rows = tuple(_worst(rows) for rows in groups.values())
    return ShadowEvidence(record.iterations, tier, rows, _precisions(record.checks, tier), record.coverage)


def judge_shadow(evidence: ShadowEvidence) -> list[Finding]:
    """A finding for each cause, else one that says what would have been seen.

    Args:
        evidence: from ``diagnose``; without causes, from ``weigh_shadow``, each operation's tensor has a finding.

    Returns:
        Failures by iteration, the worst first within one. Inconclusive where nothing was checked.
    """
    if not evidence.iterations or not evidence.rows:
        return [Finding(RULE, Outcome.INCONCLUSIVE, "*", "no iteration was shadowed", tier=evidence.tier)]
    explained: dict[int, list[ShadowRow]] = defaultdict(list)
    violated: dict[tuple[Part, str, str], list[ShadowRow]] = defaultdict(list)
    for row in evidence.violations:
        cause = next((number for number, each in enumerate(evidence.causes) if _explains(each, row)), None)
        if cause is None:
            violated[row.part, row.op, row.tensor].append(row)
        else:
            explained[cause].append(row)
    told: list[tuple[list[ShadowRow], Cause | None]] = []
    told += [(rows, evidence.causes[number]) for number, rows in explained.items()]
    told += [(rows, None) for rows in violated.values()]
    told.sort(key=lambda each: _urgency(foremost(each[0])))
    return [_violation(rows, cause, evidence.tier) for rows, cause in told] or [_all_well(evidence)]


def _explains(cause: Cause, row: ShadowRow) -> bool:
    return cause.explains(row.part, row.op, row.tensor, row.module)


def foremost(violations: Iterable[ShadowRow]) -> ShadowRow:
    """The violation that is told first: of those of the first violated iteration the one furthest past its bound.

    Args:
        violations: at least one.
    """
    return min(violations, key=_urgency)


def _urgency(row: ShadowRow) -> tuple[int, float]:
    return row.iteration, -row.excess


def _worst(rows: Sequence[ShadowRow]) -> ShadowRow:
    """The worst of the first iteration that is violated, of all iterations where none is."""
    first = min((row.iteration for row in rows if row.violated), default=None)
    worst = max((row for row in rows if first in {None, row.iteration}), key=lambda row: row.excess)
    return replace(worst, calls=len(rows))


def _violation(rows: Sequence[ShadowRow], cause: Cause | None, tier: str) -> Finding:
    """One finding of a cause, or of an operation's tensor, on the module where it is worst."""
    worst = foremost(rows)
    by_projection = _by_projection(worst)
    others = len(rows) - 1
    more = f"; likewise in {others} further {'modules' if others > 1 else 'module'}" if others else ""
    words = f"{_where(worst)}: {deviation_words(worst)} at iteration {worst.iteration}, from the same inputs{more}"
    if cause is not None and others:
        worst_of_all = f"worst in {_where(worst)}: {deviation_words(worst)}"
        words = f"{cause.sentence} {cause.since}, from the same inputs; {worst_of_all}"
    return Finding(
        RULE,
        Outcome.FAIL,
        ".".join(filter(None, (worst.module, worst.op, worst.tensor.replace(" ", "_")))),
        words,
        iteration=worst.iteration,
        observed=worst.projection if by_projection else worst.error,
        allowed=worst.allowed_projection if by_projection else worst.allowed,
        tier=tier,
    )


def _where(row: ShadowRow) -> str:
    return ", ".join(filter(None, (row.module, row.op, row.tensor)))


def _draw_words(row: ShadowRow) -> str:
    if row.tensor == "stream":
        return "the generator's stream can't be repeated"
    off = f"{row.error:.2g} standard deviations off (allowed {row.allowed:.2g})"
    return f"drawn from another distribution, its mean {off}"


def bits_of(roundoff: float) -> int:
    """Explicit mantissa bits of a format, whole ones, from its unit roundoff; 0 of what is none."""
    return max(0, math.ceil(-math.log2(roundoff) - 1)) if 0 < roundoff < math.inf else 0


def _by_projection(row: ShadowRow) -> bool:
    return not abs(row.projection) <= row.allowed_projection


def deviation_words(row: ShadowRow) -> str:
    """How far a violated tensor is off, beside what is allowed."""
    if row.part is Part.RANDOM:
        return _draw_words(row)
    if row.part is Part.PRECISION:
        return f"stored with {bits_of(row.error)} mantissa bits (at least {bits_of(row.allowed)} demanded)"
    if _by_projection(row) and math.isfinite(row.projection):
        side = "large" if row.projection > 0 else "small"
        return f"{percent(abs(row.projection))} too {side} (allowed {percent(row.allowed_projection)})"
    if not math.isfinite(row.error):
        return "not comparable with the host's result, by its shape or by values that aren't finite"
    if row.allowed == 0.0:
        return f"{percent(row.error)} of the elements differ, where none may"
    return f"off by {percent(row.error)} in norm (allowed {percent(row.allowed)})"


def _all_well(evidence: ShadowEvidence) -> Finding:
    rows = [row for row in evidence.rows if row.part in {Part.FORWARD, Part.BACKWARD, Part.BUFFERS, Part.OPTIMIZER}]
    bounds = sorted(row.allowed_projection for row in rows if 0 < row.allowed_projection < math.inf)
    smallest = bounds[len(bounds) // 2] if bounds else None
    share = percent(evidence.coverage.rate)
    seen = f"; a factor off by {percent(smallest)} would have been seen in half of them" if smallest else ""
    steps = f"{len(evidence.iterations)} {'step' if len(evidence.iterations) == 1 else 'steps'}"
    message = (
        f"{len(evidence.rows)} tensors of {steps} stay as close to float64 as {evidence.tier} "
        f"lets them, {share} of the calls checked{seen}"
    )
    return Finding(RULE, Outcome.PASS, "*", message, smallest_detectable=smallest, tier=evidence.tier)


def _precisions(checks: Iterable[ShadowCheck], tier: str) -> tuple[EffectivePrecision, ...]:
    """Explicit mantissa bits of each family, by the median error of its calls, of those where nothing cancels."""
    errors: dict[str, list[float]] = defaultdict(list)
    expected: dict[str, int] = {}
    for check in checks:
        known = check.part in {Part.FORWARD, Part.BACKWARD} and check.dtype.startswith(("float", "bfloat"))
        if known and 0 < check.error < math.inf and check.scale <= _CANCELLING:
            family = family_of(check.op)
            errors[family].append(check.error)
            expected[family] = min(check.operand, kept_bits(check.op, tier))
    return tuple(
        EffectivePrecision(family, _bits(median(found)), expected[family], len(found))
        for family, found in sorted(errors.items())
    )


_CANCELLING = 2.0
"""Conditioning from which on what cancels hides the format that a kernel computed in: chosen."""

_TYPICAL = math.sqrt(2 * (1 / 8) / math.log(2))
"""Root mean square error of a product of two rounded operands, over the unit roundoff: a rounding is uniform in ±u and
a mantissa m has the density 1 / (m ln 2), so that E[(u / m)²] / 3 = u² / (8 ln 2) for each."""


def _bits(error: float) -> float:
    """The explicit mantissa bits that operands have whose product is off by so much."""
    return min(float(mantissa_bits("float32")), -math.log2(error / _TYPICAL) - 1)
