"""Envelope: loss, components and gradient norm stay where healthy runs of the reference stay.

Tight where chaos has not grown, wide where it has, by the reference's own spread (see ``spread``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.rules.bounded import find_violation
from harness.rules.spread import Spread, measure_spread, smooth_over_iterations
from harness.values.trace import Trace
from harness.values.verdict import Envelope, Finding

__all__ = ["RULE", "judge_envelope", "watched_signals"]

RULE = "envelope"


def watched_signals(trace: Trace) -> tuple[str, ...]:
    """The signals that the rule looks at: the loss, its components where there are several, the gradient norm."""
    components = trace.components if len(trace.components) > 1 else ()
    return ("loss", *components, *(["grad_norm"] if "grad_norm" in trace.signals else []))


def judge_envelope(
    healthy: Sequence[Trace], candidate: Trace, *, tier: str, false_alarm_rate: float
) -> tuple[list[Finding], dict[str, Envelope]]:
    """A finding and an envelope for each watched signal of the reference.

    Args:
        healthy: k runs of the reference, each with the candidate's iterations or more.
        candidate: the run to judge, T iterations.
        tier: whose ensemble ``healthy`` is, for the findings.
        false_alarm_rate: chance that a healthy run fails this rule, over all signals and iterations together.

    Returns:
        The findings, and the envelopes by signal. A signal that the candidate did not record is judged as NaN.
    """
    signals = watched_signals(healthy[0])
    looks = len(candidate) * len(signals)
    findings, envelopes = [], {}
    for signal in signals:
        spread = _spread_of(healthy, signal, len(candidate))
        values = candidate.signals.get(signal, np.full(len(candidate), np.nan))
        allowed = spread.allowed(looks, false_alarm_rate)
        findings.append(
            find_violation(
                RULE,
                signal,
                tier,
                spread=spread,
                candidate=values,
                allowed=allowed,
                iterations=candidate.iterations,
            )
        )
        envelopes[signal] = Envelope(
            signal=signal,
            tier=tier,
            iterations=candidate.iterations,
            center=spread.center,
            allowed=spread.as_relative(allowed),
            candidate=values,
            deviation=spread.as_relative(spread.deviation(values)),
        )
    return findings, envelopes


def _spread_of(healthy: Sequence[Trace], signal: str, iterations: int) -> Spread:
    return smooth_over_iterations(measure_spread(np.stack([run.signals[signal][:iterations] for run in healthy])))
