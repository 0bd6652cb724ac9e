"""Bounds of signals that are compared with healthy runs at each iteration: computed once, asked of many candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from harness.rules.spread import Spread
from harness.values.trace import FloatArray, IntArray
from harness.values.verdict import Finding, Outcome

__all__ = ["Bounds", "Sentence", "percent"]


class Sentence(Protocol):
    """Says of a signal, for a person, where it is and how far a healthy run may be."""

    def __call__(self, signal: str, iteration: int, observed: float, bound: float, *, violated: bool) -> str:
        """A sentence without its full stop."""


class Bounds:
    """How far n signals may be from their center at T iterations, whatever the signals.

    A candidate of fewer iterations is held to the first of them: the bounds are those of T looks however many of them
    it has had, so that what is violated once stays violated, and the false-alarm rate is that of the whole run.

    Args:
        rule: the rule's name, for the findings.
        tier: whose ensemble the spread was measured on.
        signals: n names, for the findings.
        iterations: (T,) iteration numbers.
        spread: (n, T) of the healthy runs.
        looks: how many values the rule compares with a bound, in all.
        false_alarm_rate: chance that a healthy run violates any of them, in (0, 1).
        sentence: words the findings; by default as deviations from the reference.
    """

    def __init__(
        self,
        rule: str,
        tier: str,
        *,
        signals: Sequence[str],
        iterations: IntArray,
        spread: Spread,
        looks: int,
        false_alarm_rate: float,
        sentence: Sentence | None = None,
    ) -> None:
        self._sentence = sentence or _sentence
        self.rule = rule
        self.tier = tier
        self.signals = tuple(signals)
        self.iterations = iterations
        self.spread = spread
        self.allowed = spread.allowed(looks, false_alarm_rate)

    @cached_property
    def above(self) -> FloatArray:
        """(n, T) largest relative deviation upwards, as people read it."""
        return self.spread.as_relative(self.allowed)

    @cached_property
    def below(self) -> FloatArray:
        """(n, T) largest relative deviation downwards, as people read it, positive."""
        return -self.spread.as_relative(-self.allowed)

    def smallest(self, signals: slice | np.ndarray = slice(None)) -> float:
        """The smallest relative deviation of some of the signals that is called, at the best iteration."""
        return float(self.below[signals].min())

    def deviation(self, values: FloatArray) -> FloatArray:
        """Signed deviations of a candidate, in the units of ``allowed``.

        Args:
            values: (n, t) of its first t ≤ T iterations.

        Returns:
            (n, t).
        """
        return self.spread.head(values.shape[-1]).deviation(values)

    def violations(self, deviation: FloatArray) -> npt.NDArray[np.bool_]:
        """(n, t) where a candidate's deviation is out of bounds: a value that is not finite violates every bound."""
        # Asked as "within" and turned around, here and in `find`: every comparison with NaN is false.
        within: npt.NDArray[np.bool_] = np.abs(deviation) <= self.allowed[:, : deviation.shape[-1]]
        return ~within

    def find(self, deviation: FloatArray, signals: Sequence[int] | None = None) -> list[Finding]:
        """For each signal its first violation; without one, where the candidate came closest to its bound.

        Args:
            deviation: (n, t) of the candidate.
            signals: which to look at; all without it.

        Returns:
            Findings that fail or pass; inconclusive where there is no iteration to look at.
        """
        chosen = list(range(len(self.signals)) if signals is None else signals)
        if not deviation.shape[-1]:
            return [self._undecided(self.signals[number]) for number in chosen]
        size, allowed = np.abs(deviation[chosen]), self.allowed[chosen, : deviation.shape[-1]]
        violated = ~(size <= allowed)
        failed = np.asarray(violated.any(axis=1))
        at = np.where(failed, violated.argmax(axis=1), (size / allowed).argmax(axis=1))
        observed = self.spread.relative_at((np.array(chosen), at), deviation[chosen, at])
        # A bound is the same to both sides in logarithms; as relative deviations people read two different numbers.
        bound = np.where(observed > 0, self.above[chosen, at], self.below[chosen, at])
        looks = zip(chosen, at.tolist(), failed.tolist(), observed.tolist(), bound.tolist(), strict=True)
        return [self._find(*look) for look in looks]

    def _undecided(self, signal: str) -> Finding:
        return Finding(self.rule, Outcome.INCONCLUSIVE, signal, f"{signal}: no iteration to judge", tier=self.tier)

    def _find(self, number: int, at: int, failed: bool, observed: float, bound: float) -> Finding:
        """The finding on one signal at one place."""
        signal, iteration = self.signals[number], int(self.iterations[at])
        return Finding(
            self.rule,
            Outcome.FAIL if failed else Outcome.PASS,
            signal,
            self._sentence(signal, iteration, observed, bound, violated=failed),
            iteration=iteration,
            observed=observed,
            allowed=bound,
            smallest_detectable=self._smallest[number],
            tier=self.tier,
        )

    @cached_property
    def _smallest(self) -> list[float]:
        smallest: list[float] = self.below.min(axis=1).tolist()
        return smallest


def percent(ratio: float) -> str:
    """A ratio as people read it: 0.0123 → ``1.23 %``, and ``∞ %`` where there is no bound."""
    if math.isinf(ratio):
        return f"{'-' if ratio < 0 else ''}∞ %"
    return f"{100 * ratio:.3g} %"


def _sentence(signal: str, iteration: int, observed: float, bound: float, *, violated: bool) -> str:
    if not math.isfinite(observed):
        return f"{signal} is not comparable with the reference at iteration {iteration}: deviation {observed}"
    side = "above" if observed > 0 else "below"
    distance = f"{signal} is {percent(abs(observed))} {side} the reference at iteration {iteration}"
    healthy = f"healthy runs stay within {percent(bound)}"
    return f"{distance}, where {healthy}" if violated else f"{distance} at its closest to the bound; {healthy} there"
