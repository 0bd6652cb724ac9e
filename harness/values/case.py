"""A case: what is trained. Model, data, optimizer, schedule, and how long it is watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.values.errors import CaseError
from harness.values.precision import TIERS

__all__ = ["Case"]


@dataclass(frozen=True)
class Case:
    """The alignment block of a training config.

    Args:
        name: the config's file name without its ending.
        config: the config file (mmengine's format, Python).
        iterations: how many iterations a run has.
        repeats: how many healthy runs of the reference a baseline holds, a tier.
        seed: of data order, augmentation and dropout.
        tier: the precision tier that the gate demands of a candidate.
        tiers: the tiers that a baseline holds an ensemble of, tightest first.
        reference: which of the case's baselines a candidate is judged against, unless another is asked for; the only
            one that is there where empty.
        fp64_iterations: how many iterations the float64 run of a baseline has.
        summary: one line for lists.
        start: settings of the frozen start weights (``harness.recording.start_weights.draw_start_weights``).
        restarts: how many pieces of equal length a run consists of, each from start weights, so that rounding begins to
            grow anew; 1 starts once.
        function: the function of a user's file that returns the training; empty for mmengine's config.
        own_start: whether the weights are kept that the training begins with, all of them.
        evaluate: whether the model is asked in evaluation mode at a few iterations.
        by_name: whether it is run only where it is named, though it is small: commands without a case run the others.

    Raises:
        CaseError: a field is out of its range.
    """

    name: str
    config: Path
    iterations: int = 30
    repeats: int = 8
    seed: int = 0
    tier: str = "tf32"
    tiers: tuple[str, ...] = ("fp32", "tf32")
    reference: str = ""
    fp64_iterations: int = 3
    summary: str = ""
    start: Mapping[str, float] = field(default_factory=dict)
    function: str = ""
    own_start: bool = False
    evaluate: bool = True
    by_name: bool = False
    restarts: int = 1

    def __post_init__(self) -> None:
        for name in ("iterations", "repeats", "seed", "fp64_iterations", "restarts"):
            self._require(name, type(getattr(self, name)) is int, getattr(self, name), "a whole number")
        for name in ("tier", "reference", "summary"):
            self._require(name, type(getattr(self, name)) is str, getattr(self, name), "a text")
        for name in ("evaluate", "by_name"):
            self._require(name, type(getattr(self, name)) is bool, getattr(self, name), "True or False")
        self._require("tiers", type(self.tiers) is tuple, self.tiers, "a list of tiers")
        self._require("start", isinstance(self.start, Mapping), self.start, "settings of the start weights")
        self._require("iterations", self.iterations >= 1, self.iterations, "at least 1")
        self._require("repeats", self.repeats >= 5, self.repeats, "at least 5: fewer can't calibrate a bound")
        allowed = f"1 … {self.iterations}: no piece is shorter than an iteration"
        self._require("restarts", 1 <= self.restarts <= self.iterations, self.restarts, allowed)
        self._require("seed", 0 <= self.seed < 2**32, self.seed, "0 … 2³² − 1")
        for tier in (self.tier, *self.tiers):
            self._require("tier", tier in TIERS, tier, ", ".join(TIERS))
        self._require(
            "tiers", self.tier in self.tiers, self.tiers, f"a list that holds the demanded tier {self.tier!r}"
        )
        ordered = tuple(sorted(set(self.tiers), key=TIERS.index))
        self._require("tiers", ordered == self.tiers, self.tiers, f"tightest first, each once: {ordered}")
        self._require(
            "fp64_iterations",
            0 <= self.fp64_iterations <= self.iterations,
            self.fp64_iterations,
            f"0 … {self.iterations}",
        )

    def piece_starts(self, planned: int) -> tuple[int, ...]:
        """The iterations at which a run's pieces begin, 0 first.

        They are those of the case's own length, whatever part of it is run, so that a shorter run is the first part of
        a longer one. Where the length doesn't divide, pieces differ by one iteration.

        Args:
            planned: iterations of the run.
        """
        if self.restarts == 1:
            return (0,)
        pieces = range(-(-planned * self.restarts // self.iterations) + 1)
        starts = (number * self.iterations // self.restarts for number in pieces)
        return tuple(start for start in starts if start < planned)

    @property
    def address(self) -> str:
        """How a command names a user's case: its file, and the function in it."""
        return f"{self.config}:{self.function}" if self.function else str(self.config)

    def _require(self, name: str, holds: bool, observed: object, allowed: object) -> None:
        if not holds:
            raise CaseError(
                "the case's alignment block is out of range",
                where=f"{self.config}: alignment.{name}",
                observed=observed,
                allowed=allowed,
            )
