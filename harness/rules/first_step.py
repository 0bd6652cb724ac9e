"""First step: before the first update, nothing but the rounding of one forward and backward pass parts two runs.

The envelope shares its chances of a false alarm among all iterations. Here a handful of values are looked at once, at
iteration 0, where chaos has not begun: its bound is the sharpest that the healthy runs allow, and a violation says that
the forward pass, the loss or the gradients are wrong, rather than something that piles up.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.rules.bounded import Bounds
from harness.rules.envelope import signal_spread, signal_values, watched_signals
from harness.rules.spread import stack_spreads
from harness.values.trace import Trace
from harness.values.verdict import Finding

__all__ = ["RULE", "FirstStepRule"]

RULE = "first step"


class FirstStepRule:
    """The bounds at iteration 0, computed once.

    Args:
        healthy: k runs of the reference.
        tier: whose ensemble ``healthy`` is, for the findings.
        false_alarm_rate: chance that a healthy run fails this rule, over all signals together.
    """

    def __init__(self, healthy: Sequence[Trace], *, tier: str, false_alarm_rate: float) -> None:
        signals = watched_signals(healthy[0])
        self._bounds = Bounds(
            RULE,
            tier,
            signals=signals,
            iterations=healthy[0].iterations[:1],
            spread=stack_spreads([signal_spread(healthy, signal, 1) for signal in signals]),
            looks=len(signals),
            false_alarm_rate=false_alarm_rate,
        )

    def judge(self, candidate: Trace) -> list[Finding]:
        """A finding for each watched signal: the loss, its components where there are several, the gradient norm.

        Args:
            candidate: the run to judge, or any first part of it. A signal that it did not record is judged as NaN;
                without an iteration nothing is decided.
        """
        values = signal_values(candidate, self._bounds.signals)[:, :1]
        return self._bounds.find(self._bounds.deviation(values))
