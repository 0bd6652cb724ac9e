"""Ensembles of more and of fewer repeats than a baseline's, so that their number is a choice that can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.rules.gate import Gate
from harness.values.baseline import Baseline
from harness.values.trace import Trace

__all__ = ["cut_ensembles", "gate_of"]


def cut_ensembles(runs: Sequence[Trace], sizes: Sequence[int]) -> Mapping[int, tuple[tuple[Trace, ...], ...]]:
    """As many ensembles of each size as can be cut out of healthy runs without using one twice.

    Args:
        runs: healthy runs of one tier.
        sizes: repeats k.

    Returns:
        k → the ensembles; nothing for a size that there are too few runs for.
    """
    return {
        size: tuple(tuple(runs[start : start + size]) for start in range(0, len(runs) - size + 1, size))
        for size in sizes
        if size <= len(runs)
    }


def gate_of(baseline: Baseline, tier: str, runs: tuple[Trace, ...], planned: int, false_alarm_rate: float) -> Gate:
    """The gate of one tier alone, by an ensemble of its runs."""
    return Gate(replace(baseline, tiers={tier: runs}), planned, tier, false_alarm_rate)
