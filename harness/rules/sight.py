"""Sight: how long the reference's own runs stay close enough together for a bound on a signal to say anything.

Rounding grows until two healthy runs part. From there on a bound that healthy runs keep is so wide that it hides what
nobody would accept, and a signal that is held to it is not judged. So each signal says from which iteration on it is
blind, and a gate whose demanded signals are blind from the start decides nothing.

In a run that is started anew on its way rounding begins to grow anew too: each piece sees until it is blind.

What a bound may hide follows from what the signal is. Of a loss it is the 5 % that the field's own rule allows. A norm
has no such tolerance: the smallest plain mistake in it is a sum in place of the average over two processes, or a half
that is counted twice, which is a factor of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.rules.bounded import Bounds, percent
from harness.rules.legacy import LARGEST_MEAN_RELATIVE_ERROR
from harness.values.trace import BoolArray, IntArray
from harness.values.verdict import Finding, Outcome

__all__ = ["DEMANDED", "LARGEST_HIDDEN_LOSS", "LARGEST_HIDDEN_NORM", "RULE", "Sight", "judge_sight", "measure_sight"]

RULE = "sight"

LARGEST_HIDDEN_LOSS = LARGEST_MEAN_RELATIVE_ERROR
LARGEST_HIDDEN_NORM = 1.0

DEMANDED = ("loss", "grad_norm", "update_norm", "param_norm")
"""The signals that a gate must see at one iteration at least: what goes in, what comes back, what is done with it."""


@dataclass(frozen=True)
class Sight:
    """What the bounds of one signal let be seen.

    Args:
        signal: name.
        limit: the relative deviation above which a bound hides too much.
        blind_from: the iteration from which on every bound of a piece does, in the first piece that has one; None where
            the last one of no piece does.
        throughout: whether every bound does.
        best: the tightest bound, as a relative deviation, and the iteration that has it.
        worst: the loosest of those from which on their piece isn't blind, likewise; the loosest of all where the signal
            is blind throughout.
        blind: at how many iterations it is blind.
        iterations: of how many.
        pieces: of how many pieces the run consists.
    """

    signal: str
    limit: float
    blind_from: int | None
    throughout: bool
    best: tuple[float, int]
    worst: tuple[float, int]
    blind: int = 0
    iterations: int = 0
    pieces: int = 1

    @property
    def blind_where(self) -> str:
        """At which iterations it is blind, in words."""
        if self.pieces == 1:
            return f"from iteration {self.blind_from} on"
        return f"at {self.blind} of {self.iterations} iterations (ends of pieces)"


def measure_sight(bounds: Bounds, piece_starts: Sequence[int] | IntArray = (0,)) -> tuple[Sight, ...]:
    """What each signal's bounds let be seen, over the iterations that they are of.

    Args:
        bounds: of signals at each iteration of a run.
        piece_starts: the places at which the run's pieces begin, 0 first.
    """
    return tuple(_measure(bounds, number, np.asarray(piece_starts)) for number in range(len(bounds.signals)))


def judge_sight(sights: Sequence[Sight], tier: str) -> list[Finding]:
    """A finding for each signal that is blind from some iteration on; none for those that see to the end.

    Args:
        sights: of the signals.
        tier: whose ensemble the bounds are of.

    Returns:
        Inconclusive for a demanded signal that is blind throughout, else for information.
    """
    return [_finding(sight, tier) for sight in sights if sight.blind_from is not None]


def _measure(bounds: Bounds, number: int, piece_starts: IntArray) -> Sight:
    has_value = np.isfinite(bounds.spread.sigma[number])  # where it has none it is not blind: there is nothing to see
    signal, allowed, iterations = bounds.signals[number], bounds.above[number, has_value], bounds.iterations[has_value]
    limit = LARGEST_HIDDEN_LOSS if "loss" in signal else LARGEST_HIDDEN_NORM
    starts = np.searchsorted(np.flatnonzero(has_value), piece_starts)
    sees = np.concatenate([_sees(piece) for piece in np.split(allowed <= limit, starts[1:])])
    blind = np.flatnonzero(~sees)
    looked = np.flatnonzero(sees) if sees.any() else np.arange(len(allowed))

    def at(place: int) -> tuple[float, int]:
        return float(allowed[place]), int(iterations[place])

    return Sight(
        signal=signal,
        limit=limit,
        blind_from=int(iterations[blind[0]]) if len(blind) else None,
        throughout=not sees.any(),
        best=at(int(looked[allowed[looked].argmin()])),
        worst=at(int(looked[allowed[looked].argmax()])),
        blind=len(blind),
        iterations=len(allowed),
        pieces=len(piece_starts),
    )


def _sees(within: BoolArray) -> BoolArray:
    """(t,) of a piece's iterations those up to the last whose bound hides no more than it may."""
    seeing = np.flatnonzero(within)
    return np.arange(len(within)) <= (seeing[-1] if len(seeing) else -1)


def _off(deviation: float) -> str:
    return f"a deviation of {percent(deviation)}" if deviation < 10 else f"a factor of {1 + deviation:.2g}"


def _finding(sight: Sight, tier: str) -> Finding:
    best, _ = sight.best
    if sight.throughout:
        status = Outcome.INCONCLUSIVE if sight.signal in DEMANDED else Outcome.INFO
        message = (
            f"{sight.signal} is blind at every iteration: the reference's own runs part so far that {_off(best)} would "
            f"pass even where they part least; {percent(sight.limit)} is the most that may"
        )
    else:
        status = Outcome.INFO
        message = (
            f"{sight.signal} is blind {sight.blind_where}: there the reference's own runs part so far "
            f"that a deviation of more than {percent(sight.limit)} would pass"
        )
    return Finding(
        RULE,
        status,
        sight.signal,
        message,
        iteration=sight.blind_from,
        allowed=sight.limit,
        smallest_detectable=best,
        tier=tier,
    )
