"""Legacy: the rule of the field's ``loss.py``, to the last printed digit. Always reported, never sufficient.

It takes the mean of *signed* errors and passes where either is small or negative: a loss that is too low passes however
far away it is, and large errors of both signs cancel. What it misses is why the other rules exist.
"""

from __future__ import annotations

import numpy as np

from harness.values.errors import TraceError
from harness.values.trace import FloatArray
from harness.values.verdict import LegacyResult

__all__ = ["LARGEST_MEAN_ABSOLUTE_ERROR", "LARGEST_MEAN_RELATIVE_ERROR", "judge_legacy"]

LARGEST_MEAN_RELATIVE_ERROR = 0.05
LARGEST_MEAN_ABSOLUTE_ERROR = 0.0002


def judge_legacy(reference: FloatArray, candidate: FloatArray, *, numpy_spelling: bool = False) -> LegacyResult:
    """What ``loss.py`` prints about two losses, iteration by iteration.

    Its answers are its own where it has no good one:

    - A NaN on either side makes both means NaN, and it fails: no comparison with NaN holds.
    - A reference of zero makes the mean relative error infinite or, where the candidate is zero too, NaN; then the mean
      absolute error decides alone, so that two losses that are zero throughout pass.
    - A candidate of −∞ passes.
    - Without an iteration both means are NaN, and it fails. One iteration is judged like a hundred.

    Args:
        reference: (T,) loss of the trusted side.
        candidate: (T,) loss of the ported side, paired by the caller.
        numpy_spelling: print the last line's numbers as ``np.float64(x)``, as the script does under numpy ≥ 2; else as
            ``x``, as under numpy 1.

    Returns:
        The two signed means, the script's ``pass`` or ``fail``, and its four lines.

    Raises:
        TraceError: the two sides are not paired one to one.
    """
    if reference.shape != candidate.shape or reference.ndim != 1:
        raise TraceError(
            "the two losses are not paired one to one",
            observed=(reference.shape, candidate.shape),
            allowed="(T,), (T,)",
        )
    with np.errstate(all="ignore"):
        relative = _mean((candidate - reference) / reference)
        absolute = _mean(candidate - reference)
    rule = f"mean_relative_error {relative}" if relative <= absolute else f"mean_absolute_error {absolute}"
    passes = relative <= LARGEST_MEAN_RELATIVE_ERROR or absolute <= LARGEST_MEAN_ABSOLUTE_ERROR
    verdict = "pass" if passes else "fail"
    shown = [f"np.float64({mean})" if numpy_spelling else f"{mean}" for mean in (relative, absolute)]
    lines = (
        f"MeanRelativeError: {relative}",
        f"MeanAbsoluteError: {absolute}",
        f"Rule,{rule}",
        f"{verdict} mean_relative_error={shown[0]} <= 0.05 or mean_absolute_error={shown[1]} <= 0.0002",
    )
    return LegacyResult(relative, absolute, verdict, lines)


def _mean(errors: FloatArray) -> float:
    """Numpy's pairwise mean, whose last digit is part of what was published; NaN of nothing, without its warning."""
    return float(np.mean(errors)) if errors.size else float("nan")
