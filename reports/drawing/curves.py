"""What a plot shows: one signal of the candidate beside the reference."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from harness.values.result import Result
from harness.values.trace import FloatArray, IntArray, Trace
from harness.values.verdict import Envelope, Finding, Verdict
from reports.results.reference_curve import reference_at, reference_beyond

__all__ = ["MOST_DRAWN", "Curve", "curves_of", "thinned"]

MOST_DRAWN = 1000
"""Iterations of a drawing; a longer run is thinned."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One signal, ready to be drawn.

    Args:
        signal: name.
        iterations: (T,), T ≥ 1.
        candidate: (T,) the candidate's values.
        center: (T,) the reference's; None where there is none.
        deviation: (T,) relative deviation of the candidate from the reference; None where they are not comparable.
        allowed: (T,) the largest that a healthy run may have; None where nobody knows.
        planned: iterations that the run was to have.
        complete: whether the candidate reached its end.
        violation: the first violation of an iteration of this signal.
        smallest_detectable: the smallest relative deviation that a rule would have called.
        ahead: (A,) iterations that the candidate ended before, and (A,) the reference's values there; None for none.
    """

    signal: str
    iterations: IntArray
    candidate: FloatArray
    center: FloatArray | None
    deviation: FloatArray | None
    allowed: FloatArray | None
    planned: int
    complete: bool
    violation: Finding | None = None
    smallest_detectable: float | None = None
    ahead: tuple[IntArray, FloatArray] | None = None

    @property
    def first_not_finite(self) -> int | None:
        """The first iteration at which the candidate's value is NaN or infinite."""
        broken = np.flatnonzero(~np.isfinite(self.candidate))
        return int(self.iterations[broken[0]]) if len(broken) else None

    @property
    def beyond(self) -> IntArray:
        """Indices, in order, at which the candidate is not within what is allowed."""
        if self.deviation is None or self.allowed is None:
            return np.empty(0, np.int64)
        return np.flatnonzero(~(np.abs(self.deviation) <= self.allowed))

    @property
    def left_at(self) -> int | None:
        """The first iteration at which a rule, or the bound itself, says that the candidate left its envelope."""
        called = [] if self.violation is None or self.violation.iteration is None else [self.violation.iteration]
        return min([*called, *self.iterations[self.beyond[:1]].tolist()], default=None)


def curves_of(result: Result) -> tuple[Curve, ...]:
    """The signals to draw: loss, its components, gradient norm, then whatever else has an envelope.

    Where nothing was judged (not comparable, no baseline) the loss and its components are drawn from the traces.
    """
    envelopes, trace = result.verdict.envelopes, result.trace
    if envelopes:
        drawable = (envelopes[name] for name in sorted(envelopes, key=_rank) if len(envelopes[name].iterations))
        return tuple(_judged(result, envelope) for envelope in drawable)
    if trace is None or not len(trace):
        return ()
    tier = result.verdict.demanded_tier
    return tuple(_unjudged(result, trace, tier, signal) for signal in ("loss", *trace.components))


def thinned(curve: Curve) -> Curve:
    """The curve with 1000 iterations at most: of each stretch the one that uses up most of what is allowed.

    Without a bound it is the one with the largest value. A value that is not finite comes before all others.
    """
    total = len(curve.iterations)
    if total <= MOST_DRAWN:
        return curve
    with np.errstate(all="ignore"):
        weight = np.abs(curve.candidate)
        if curve.deviation is not None and curve.allowed is not None:
            weight = np.abs(curve.deviation) / curve.allowed
    weight = np.where(np.isnan(weight), np.inf, weight)
    stretches = np.array_split(np.arange(total), MOST_DRAWN)
    keep = np.array([stretch[np.argmax(weight[stretch])] for stretch in stretches])
    return replace(
        curve,
        iterations=curve.iterations[keep],
        candidate=curve.candidate[keep],
        center=None if curve.center is None else curve.center[keep],
        deviation=None if curve.deviation is None else curve.deviation[keep],
        allowed=None if curve.allowed is None else curve.allowed[keep],
    )


def _rank(signal: str) -> int:
    if signal == "loss":
        return 0
    if signal.rpartition(".")[2].startswith("loss_"):
        return 1
    return 2 if signal == "grad_norm" else 3


def _judged(result: Result, envelope: Envelope) -> Curve:
    about = [finding for finding in result.verdict.findings if finding.signal == envelope.signal]
    seen = [finding.smallest_detectable for finding in about if finding.smallest_detectable is not None]
    end = int(envelope.iterations[-1]) + 1
    return Curve(
        signal=envelope.signal,
        iterations=envelope.iterations,
        candidate=envelope.candidate,
        center=envelope.center,
        deviation=envelope.deviation,
        allowed=None if np.isnan(envelope.allowed).all() else envelope.allowed,
        planned=max(result.trace.planned, end) if result.trace is not None else end,
        complete=result.trace is None or result.trace.complete,
        violation=_first_violation(result.verdict, envelope.signal),
        smallest_detectable=min(seen, default=None),
        ahead=reference_beyond(result, envelope.tier, envelope.signal),
    )


def _first_violation(verdict: Verdict, signal: str) -> Finding | None:
    """At the first iteration that violates a rule, the finding that says by how much where one does."""
    about = [each for each in verdict.violations if each.signal == signal and each.iteration is not None]
    return min(about, key=lambda each: (each.iteration, each.allowed is None), default=None)


def _unjudged(result: Result, trace: Trace, tier: str, signal: str) -> Curve:
    baseline = result.baseline
    return Curve(
        signal=signal,
        iterations=trace.iterations,
        candidate=trace.signals[signal],
        center=None if baseline is None else reference_at(baseline, tier, signal, trace.iterations),
        deviation=None,
        allowed=None,
        planned=max(trace.planned, trace.reached),
        complete=trace.complete,
        ahead=reference_beyond(result, tier, signal),
    )
