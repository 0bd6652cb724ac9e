"""Envelope: loss, components and gradient norm stay where healthy runs of the reference stay.

Tight where chaos has not grown, wide where it has, by the reference's own spread (see ``spread``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.rules.bounded import Bounds
from harness.rules.spread import Spread, measure_spread, smooth_over_iterations, spread_where, stack_spreads
from harness.values.trace import FloatArray, Trace
from harness.values.verdict import Envelope, Finding

__all__ = ["RULE", "EnvelopeRule", "judge_envelope", "signal_spread", "signal_values", "watched_signals"]

RULE = "envelope"


def watched_signals(trace: Trace) -> tuple[str, ...]:
    """The signals that the rule looks at: the loss, its components where there are several, the gradient norm."""
    components = trace.components if len(trace.components) > 1 else ()
    return ("loss", *components, *(["grad_norm"] if "grad_norm" in trace.signals else []))


class EnvelopeRule:
    """The envelopes of healthy runs, computed once.

    Args:
        healthy: k runs of the reference, each of ``planned`` iterations or more.
        planned: iterations T of the candidates to come.
        tier: whose ensemble ``healthy`` is, for the findings.
        false_alarm_rate: chance that a healthy run fails this rule, over all signals and iterations together.
    """

    def __init__(self, healthy: Sequence[Trace], planned: int, *, tier: str, false_alarm_rate: float) -> None:
        signals = watched_signals(healthy[0].head(planned))
        self._bounds = Bounds(
            RULE,
            tier,
            signals=signals,
            iterations=healthy[0].iterations[:planned],
            spread=stack_spreads([signal_spread(healthy, signal, planned) for signal in signals]),
            looks=planned * len(signals),
            false_alarm_rate=false_alarm_rate,
        )

    @property
    def bounds(self) -> Bounds:
        """Of the watched signals at each iteration."""
        return self._bounds

    def judge(self, candidate: Trace) -> tuple[list[Finding], dict[str, Envelope]]:
        """A finding and an envelope for each watched signal of the reference.

        Args:
            candidate: the run to judge, or the first t ≤ T iterations of it.

        Returns:
            The findings, and the envelopes by signal. A signal that the candidate did not record is judged as NaN.
        """
        bounds, seen = self._bounds, len(candidate)
        values = signal_values(candidate, bounds.signals)
        deviation = bounds.deviation(values)
        relative = bounds.spread.head(seen).as_relative(deviation)
        gaps = np.where(np.isinf(bounds.spread.sigma[:, :seen]), np.nan, 1.0)  # where a curve has nothing to draw
        envelopes = {
            signal: Envelope(
                signal=signal,
                tier=bounds.tier,
                iterations=candidate.iterations,
                center=bounds.spread.center[number, :seen] * gaps[number],
                allowed=bounds.above[number, :seen] * gaps[number],
                candidate=values[number],
                deviation=relative[number] * gaps[number],
            )
            for number, signal in enumerate(bounds.signals)
        }
        return bounds.find(deviation), envelopes


def judge_envelope(
    healthy: Sequence[Trace], candidate: Trace, *, tier: str, false_alarm_rate: float
) -> tuple[list[Finding], dict[str, Envelope]]:
    """What ``EnvelopeRule`` says of one candidate of as many iterations as it has.

    Args:
        healthy: k runs of the reference, each with the candidate's iterations or more.
        candidate: the run to judge, T iterations.
        tier: whose ensemble ``healthy`` is, for the findings.
        false_alarm_rate: chance that a healthy run fails this rule, over all signals and iterations together.
    """
    return EnvelopeRule(healthy, len(candidate), tier=tier, false_alarm_rate=false_alarm_rate).judge(candidate)


def signal_spread(healthy: Sequence[Trace], signal: str, iterations: int) -> Spread:
    """(T,) spread of a signal over the first T iterations of healthy runs, smoothed over those of each piece.

    Over those at which they have a value, the same in all of them; ``presence`` holds a candidate to the same ones.
    """
    values = np.stack([run.signals[signal][:iterations] for run in healthy])
    has_value = healthy[0].has_value(signal)[:iterations]
    starts = healthy[0].piece_starts
    starts = starts[starts < iterations]
    if has_value.all():
        return smooth_over_iterations(measure_spread(values), starts)
    starts = np.searchsorted(np.flatnonzero(has_value), starts)  # a piece without a value has no place
    return spread_where(has_value, smooth_over_iterations(measure_spread(values[:, has_value]), starts))


def signal_values(candidate: Trace, signals: Sequence[str]) -> FloatArray:
    """(n, T) values of a candidate's signals, NaN where it did not record one."""
    missing = np.full(len(candidate), np.nan)
    values: FloatArray = np.stack([candidate.signals.get(signal, missing) for signal in signals])
    return values
