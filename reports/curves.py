"""What a plot shows: one signal of the candidate beside the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.values.result import Result
from harness.values.trace import FloatArray, IntArray
from harness.values.verdict import Envelope, Finding, Verdict

__all__ = ["Curve", "curves_of"]

_POINTS_DRAWN = 1000


@dataclass(frozen=True, eq=False)
class Curve:
    """One signal, ready to be drawn.

    Args:
        signal: name.
        tier: whose envelope it is; empty where it was not judged.
        iterations: (T,).
        candidate: (T,) the candidate's values.
        center: (T,) the reference's; None where there is none.
        allowed: (T,) largest relative deviation that a healthy run may have; None where it was not judged.
        planned: iterations that the run was to have.
        complete: whether the candidate reached its end.
        violation: the first violation of an iteration of this signal.
        smallest_detectable: the smallest relative deviation that a rule would have called.
        total: how many iterations there are, of which T are drawn.
    """

    signal: str
    tier: str
    iterations: IntArray
    candidate: FloatArray
    center: FloatArray | None
    allowed: FloatArray | None
    planned: int
    complete: bool
    violation: Finding | None
    smallest_detectable: float | None
    total: int

    @property
    def deviation(self) -> FloatArray | None:
        """(T,) candidate / center − 1; NaN where either is not finite or the center is zero."""
        if self.center is None:
            return None
        with np.errstate(all="ignore"):
            return np.where(self.center == 0, np.nan, self.candidate / self.center - 1)

    @property
    def first_not_finite(self) -> int | None:
        """The first iteration at which the candidate's value is NaN or infinite."""
        broken = np.flatnonzero(~np.isfinite(self.candidate))
        return int(self.iterations[broken[0]]) if len(broken) else None


def curves_of(result: Result) -> tuple[Curve, ...]:
    """The signals to draw: loss, its components, gradient norm, then whatever else has an envelope.

    Where nothing was judged (not comparable, no baseline) the loss and its components are drawn from the traces.
    """
    envelopes = result.verdict.envelopes
    if envelopes:
        drawable = (envelopes[name] for name in sorted(envelopes, key=_rank) if len(envelopes[name].iterations))
        return tuple(_judged(result, envelope) for envelope in drawable)
    if result.trace is None or not len(result.trace):
        return ()
    return tuple(_unjudged(result, name) for name in ("loss", *result.trace.components))


def _rank(signal: str) -> int:
    if signal == "loss":
        return 0
    if signal.rpartition(".")[2].startswith("loss_"):
        return 1
    return 2 if signal == "grad_norm" else 3


def _judged(result: Result, envelope: Envelope) -> Curve:
    about = [finding for finding in result.verdict.findings if finding.signal == envelope.signal]
    seen = [finding.smallest_detectable for finding in about if finding.smallest_detectable is not None]
    last = int(envelope.iterations[-1]) + 1
    keep = _kept(envelope)
    return Curve(
        signal=envelope.signal,
        tier=envelope.tier,
        iterations=envelope.iterations[keep],
        candidate=envelope.candidate[keep],
        center=envelope.center[keep],
        allowed=envelope.allowed[keep],
        planned=max(result.trace.planned, last) if result.trace is not None else last,
        complete=result.trace is None or result.trace.complete,
        violation=_first_violation(result.verdict, envelope.signal),
        smallest_detectable=min(seen, default=None),
        total=len(envelope.iterations),
    )


def _first_violation(verdict: Verdict, signal: str) -> Finding | None:
    """At the first iteration that violates a rule, the finding that says by how much where one does."""
    about = [each for each in verdict.violations if each.signal == signal and each.iteration is not None]
    return min(about, key=lambda each: (each.iteration, each.allowed is None), default=None)


def _kept(envelope: Envelope) -> IntArray:
    """(T′,) indices: of each stretch of iterations the one that uses up most of what is allowed."""
    total = len(envelope.iterations)
    if total <= _POINTS_DRAWN:
        return np.arange(total)
    with np.errstate(all="ignore"):
        use = np.abs(envelope.deviation) / envelope.allowed
    use = np.where(np.isnan(use), np.inf, use)
    stretches = np.array_split(np.arange(total), _POINTS_DRAWN)
    return np.array([stretch[np.argmax(use[stretch])] for stretch in stretches])


def _unjudged(result: Result, signal: str) -> Curve:
    trace = result.trace
    if trace is None:
        raise ValueError("a curve needs a trace")
    step = max(1, len(trace) // _POINTS_DRAWN)
    iterations = trace.iterations[::step]
    return Curve(
        signal=signal,
        tier="",
        iterations=iterations,
        candidate=trace.signals[signal][::step],
        center=_center(result, signal, iterations),
        allowed=None,
        planned=max(trace.planned, int(trace.iterations[-1]) + 1),
        complete=trace.complete,
        violation=None,
        smallest_detectable=None,
        total=len(trace),
    )


def _center(result: Result, signal: str, iterations: IntArray) -> FloatArray | None:
    """(T,) mean of the reference's runs at these iterations; NaN where they have none."""
    if result.baseline is None:
        return None
    tiers = result.baseline.tiers
    runs = tiers.get(result.verdict.demanded_tier) or next(iter(tiers.values()))
    if any(signal not in run.signals for run in runs):
        return None
    known = runs[0].iterations
    mean = np.mean([run.signals[signal] for run in runs], axis=0)
    at = np.clip(np.searchsorted(known, iterations), 0, len(known) - 1)
    return np.where(known[at] == iterations, mean[at], np.nan)
