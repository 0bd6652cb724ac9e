"""The reference's own loss: of the iterations that a candidate has, and of those that it never reached."""

from __future__ import annotations

import numpy as np

from harness.values.baseline import Baseline
from harness.values.result import Result
from harness.values.trace import FloatArray, IntArray

__all__ = ["reference_at", "reference_beyond"]


def reference_at(baseline: Baseline, tier: str, signal: str, iterations: IntArray) -> FloatArray | None:
    """(T,) mean of the tier's healthy runs at these iterations, NaN where they have none; None without the signal."""
    runs = baseline.tiers.get(tier) or next(iter(baseline.tiers.values()))
    if any(signal not in run.signals for run in runs):
        return None
    known = runs[0].iterations
    mean = np.mean([run.signals[signal] for run in runs], axis=0)
    at = np.clip(np.searchsorted(known, iterations), 0, len(known) - 1)
    return np.where(known[at] == iterations, mean[at], np.nan)


def reference_beyond(result: Result, tier: str, signal: str) -> tuple[IntArray, FloatArray] | None:
    """(T,) iterations that a run was to have and ended before, and the reference's values there; None for none.

    Args:
        result: whose run ended early or not.
        tier: whose healthy runs.
        signal: name.
    """
    trace, baseline = result.trace, result.baseline
    if trace is None or trace.complete or baseline is None or not len(trace):
        return None
    runs = baseline.tiers.get(tier) or next(iter(baseline.tiers.values()))
    known = runs[0].iterations
    ahead = known[(known >= trace.reached) & (known < trace.planned)]
    values = reference_at(baseline, tier, signal, ahead) if len(ahead) else None
    return None if values is None else (ahead, values)
