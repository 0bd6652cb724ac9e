"""Legacy: the seeds' script, to the last printed digit. Always reported, never sufficient.

It passes where the signed mean relative error is at most 0.05 or the signed mean absolute error is at most 0.0002, so that
a candidate whose loss is lower passes, however far away.
"""

from __future__ import annotations

import numpy as np

from harness.values.trace import FloatArray
from harness.values.verdict import LegacyResult

__all__ = ["LARGEST_MEAN_ABSOLUTE_ERROR", "LARGEST_MEAN_RELATIVE_ERROR", "judge_legacy"]

LARGEST_MEAN_RELATIVE_ERROR = 0.05
LARGEST_MEAN_ABSOLUTE_ERROR = 0.0002


def judge_legacy(reference: FloatArray, candidate: FloatArray, *, numpy_two: bool = False) -> LegacyResult:
    """The script's answer on two losses that are paired already.

    NaN compares false with everything, so a NaN on either side is a ``fail``; a reference of zero gives an infinite or NaN
    relative error, as it does in the script; without an iteration both errors are NaN.

    Args:
        reference: (T,) the trusted side's loss.
        candidate: (T,) the ported side's loss.
        numpy_two: print numbers as numpy ≥ 2 does, ``np.float64(x)``, as READMEs of that time have them.
    """
    if not len(reference):
        relative = absolute = float("nan")
    else:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            difference = candidate - reference
            relative = float(np.mean(difference / reference))
            absolute = float(np.mean(difference))
    passes = relative <= LARGEST_MEAN_RELATIVE_ERROR or absolute <= LARGEST_MEAN_ABSOLUTE_ERROR
    verdict = "pass" if passes else "fail"
    x, y = (f"np.float64({value!r})" if numpy_two else repr(value) for value in (relative, absolute))
    rule = f"mean_relative_error {x}" if relative <= absolute else f"mean_absolute_error {y}"
    lines = (
        f"MeanRelativeError: {x}",
        f"MeanAbsoluteError: {y}",
        f"Rule,{rule}",
        f"{verdict} mean_relative_error={x} <= {LARGEST_MEAN_RELATIVE_ERROR} or "
        f"mean_absolute_error={y} <= {LARGEST_MEAN_ABSOLUTE_ERROR}",
    )
    return LegacyResult(relative, absolute, verdict, lines)
