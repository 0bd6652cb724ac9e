"""What a study's result is made of, as plain values: a row a run, an ensemble, a fault that was not put on."""

from __future__ import annotations

from dataclasses import dataclass

from harness.lab.power.detection import Detection
from harness.lab.power.effect import Effect, Extent
from harness.lab.power.proportions import Rate

__all__ = ["EnsembleRow", "Execution", "FaultRow", "HealthyRow", "NotRun"]


@dataclass(frozen=True)
class FaultRow:
    """One run with a fault.

    Args:
        case: name of the case.
        fault: as the command line spells it.
        strikes: the layer that it acts on.
        summary: what it does.
        severity: how strong it is; None where that is no number.
        detection: what was said of it.
        effect: what it does, measured beside its twin.
        ending: how the run ended.
        seconds: wall-clock time.
        blind: whether the fault was written blind: after the gate, by who hadn't seen what it finds.
    """

    case: str
    fault: str
    strikes: str
    summary: str
    severity: float | None
    detection: Detection
    effect: Effect
    ending: str
    seconds: float
    blind: bool = False

    @property
    def changes_anything(self) -> bool:
        """Whether it changes any recorded number, gradient or update, were it by one bit; what is seen does."""
        return self.detection.seen_with_shadow or self.effect.extent is not Extent.NONE

    @property
    def has_effect(self) -> bool:
        """Whether it changes something by more than rounding does; what is seen does."""
        return self.detection.seen_with_shadow or self.effect.extent is Extent.CLEAR


@dataclass(frozen=True)
class HealthyRow:
    """One healthy port.

    Args:
        case: name of the case.
        port: its kind.
        seed: of its noise.
        detection: what was said of it.
        seconds: wall-clock time.
    """

    case: str
    port: str
    seed: int
    detection: Detection
    seconds: float


@dataclass(frozen=True)
class EnsembleRow:
    """What an ensemble of k repeats at the demanded tier makes of the same runs.

    Args:
        repeats: k.
        ensembles: how many of that size, over all cases; each judged every run of its case.
        detected: of the faulty runs.
        detected_with_effect: of those whose fault has an effect.
        false_alarms: of the healthy ports.
    """

    repeats: int
    ensembles: int
    detected: Rate
    detected_with_effect: Rate
    false_alarms: Rate


@dataclass(frozen=True)
class NotRun:
    """A fault that was not put on.

    Args:
        fault: its name.
        needs: what it needs that these runs haven't.
    """

    fault: str
    needs: str


@dataclass(frozen=True)
class Execution:
    """What a command made of a study: of one that goes on where it was, the rest.

    Args:
        runs: that it made; the others lay there.
        workers: how many it made at a time.
        seconds: wall-clock time that they took.
    """

    runs: int
    workers: int
    seconds: float
