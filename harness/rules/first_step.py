"""First step: before the first update, nothing but the rounding of one forward and backward pass parts two runs.

The envelope shares its chances of a false alarm among all iterations. Here a handful of values are looked at once, at
iteration 0, where chaos has not begun: its bound is the sharpest that the healthy runs allow, and a violation says that
the forward pass, the loss or the gradients are wrong, rather than something that piles up. A run that is started anew
on its way has such an iteration at the start of each piece.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.rules.bounded import Bounds
from harness.rules.envelope import signal_spread, signal_values, watched_signals
from harness.rules.spread import stack_spreads
from harness.values.trace import PIECE, IntArray, Trace
from harness.values.verdict import Finding

__all__ = ["RULE", "FirstStepRule"]

RULE = "first step"


class FirstStepRule:
    """The bounds at the first iteration of each piece, computed once.

    Args:
        healthy: k runs of the reference, each of ``planned`` iterations or more.
        planned: iterations T of the candidates to come.
        tier: whose ensemble ``healthy`` is, for the findings.
        false_alarm_rate: chance that a healthy run fails this rule, over all signals together.
    """

    def __init__(self, healthy: Sequence[Trace], planned: int, *, tier: str, false_alarm_rate: float) -> None:
        starts = healthy[0].piece_starts
        self._starts = starts[starts < planned]
        firsts = [_at(run, self._starts) for run in healthy]
        signals = watched_signals(firsts[0])
        self._bounds = Bounds(
            RULE,
            tier,
            signals=signals,
            iterations=firsts[0].iterations,
            spread=stack_spreads([signal_spread(firsts, signal, len(self._starts)) for signal in signals]),
            looks=len(signals) * len(self._starts),
            false_alarm_rate=false_alarm_rate,
        )

    def judge(self, candidate: Trace) -> list[Finding]:
        """A finding for each watched signal: the loss, its components where there are several, the gradient norm.

        Args:
            candidate: the run to judge, or any first part of it. A signal that it did not record is judged as NaN;
                without an iteration nothing is decided.
        """
        reached = self._starts[self._starts < len(candidate)]
        values = signal_values(candidate, self._bounds.signals)[:, reached]
        return self._bounds.find(self._bounds.deviation(values))


def _at(run: Trace, places: IntArray) -> Trace:
    """A run's iterations at some places, each a piece of its own."""
    gaps = {name: missing[places] for name, missing in run.missing.items()}
    return Trace(
        iterations=run.iterations[places],
        signals={
            **{name: values[places] for name, values in run.signals.items()},
            PIECE: np.arange(len(places), dtype=np.float64),
        },
        planned=len(places),
        complete=True,
        missing={name: gap for name, gap in gaps.items() if gap.any()},
    )
