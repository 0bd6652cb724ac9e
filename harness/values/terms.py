"""Terms: what a verdict was asked on, beside what the case's own gate asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from harness.values.bounds import Chance

__all__ = ["Against", "Terms"]


class Against(str, Enum):
    """What a candidate was held against."""

    BASELINE = "baseline"
    """Healthy runs of a reference."""

    HOST = "host"
    """Float64 on its own host, by shadow ops: no reference was asked."""

    LOGS = "logs"
    """A log of a reference."""

    ANSWERS = "answers"
    """A reference's answers to the same images with the same weights: nothing was trained."""

    ACCURACIES = "accuracies"
    """The accuracies of a reference's trained runs."""


@dataclass(frozen=True)
class Terms:
    """On what terms a verdict stands. A verdict on weaker ones is no answer to the case's own gate, and says so.

    Args:
        against: what the candidate was held against.
        false_alarm_rate: chance that a healthy port of this case fails; None where no rule has one.
        gate_size: how many cases share the gate's false-alarm rate.
        asked: what was asked, each in a few words: ``30 iterations``, ``tier tf32``.
        left_out: what of the case's own gate was not asked, each in a few words: ``3 of 30 iterations``.
        remarks: what else weakens the answer, each a sentence: a better reference that was not used.
    """

    against: Against = Against.BASELINE
    false_alarm_rate: Chance | None = None
    gate_size: int = 1
    asked: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
