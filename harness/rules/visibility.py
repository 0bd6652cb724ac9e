"""What a baseline can see: the spread of its healthy runs, and the smallest deviation that would be called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.rules.envelope import watched_signals
from harness.rules.evaluation import RULE, EvaluationRule
from harness.rules.spread import measure_spread, smooth_over_iterations
from harness.rules.state import TOTALS
from harness.values.trace import Trace

__all__ = ["Visibility", "measure_evaluation", "measure_visibility"]


@dataclass(frozen=True)
class Visibility:
    """What can be seen of one signal at one iteration.

    Args:
        signal: name.
        iteration: number.
        floor: relative standard deviation of a healthy run.
        detectable: smallest relative deviation that is called.
    """

    signal: str
    iteration: int
    floor: float
    detectable: float


def measure_visibility(
    healthy: Sequence[Trace], iterations: Sequence[int], *, false_alarm_rate: float
) -> tuple[Visibility, ...]:
    """What k healthy runs let a candidate's judge see.

    Args:
        healthy: k runs of T iterations each.
        iterations: at which to say it; those beyond the runs' end are left out.
        false_alarm_rate: of the rule, over all its looks.
    """
    signals = watched_signals(healthy[0])
    seen = []
    for signal in [*signals, *(name for name in TOTALS if name in healthy[0].signals)]:
        spread = smooth_over_iterations(measure_spread(np.stack([run.signals[signal] for run in healthy])))
        allowed = spread.as_relative(spread.allowed(len(healthy[0]) * len(signals), false_alarm_rate))
        seen += [
            Visibility(signal, iteration, float(spread.sigma[iteration]), float(allowed[iteration]))
            for iteration in iterations
            if iteration < len(healthy[0])
        ]
    return tuple(seen)


def measure_evaluation(healthy: Sequence[Trace], *, false_alarm_rate: float) -> tuple[Visibility, ...]:
    """What k healthy runs let a candidate's judge see of what the model answers in evaluation mode.

    Args:
        healthy: k runs of T iterations each.
        false_alarm_rate: of the rule, over all its looks.

    Returns:
        Of each loss, and of the share of the pixels that lie elsewhere in each head's confusion matrix, at each
        iteration that the model was asked after; nothing where it never was.
    """
    rule = EvaluationRule(healthy, len(healthy[0]), tier="", false_alarm_rate=false_alarm_rate)
    return tuple(
        Visibility(signal.removeprefix(f"{RULE}/"), int(iteration), float(sigma), float(detectable))
        for bounds in rule.bounds
        for signal, sigmas, seen in zip(bounds.signals, bounds.spread.sigma, bounds.below, strict=True)
        for iteration, sigma, detectable in zip(bounds.iterations, sigmas, seen, strict=True)
    )
