"""What a study found: every run with what was said of it, and the rates that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from harness.lab.power.detection import HARD_INPUTS, RULES, SHADOW, Detection
from harness.lab.power.proportions import Rate
from harness.lab.power.sampled_faults import Sampling
from harness.lab.power.study_rows import EnsembleRow, Execution, FaultRow, HealthyRow, NotRun

__all__ = ["GateRates", "PowerResult"]


@dataclass(frozen=True)
class GateRates:
    """How much a gate calls.

    Args:
        detected: of all faulty runs.
        detected_with_change: of the faulty runs that aren't equal to the plain one to the bit.
        detected_with_effect: of the faulty runs whose fault has an effect.
        false_alarms: of the healthy ports.
    """

    detected: Rate
    detected_with_change: Rate
    detected_with_effect: Rate
    false_alarms: Rate


@dataclass(frozen=True)
class PowerResult:
    """A study's result.

    Args:
        faults: a row a faulty run.
        healthy: a row a healthy port.
        ensembles: a row a number of repeats.
        not_run: faults that were not put on.
        missing: case → runs that the work folder lacks.
        iterations: case → of each run.
        tiers: case → the tier that its gate demands.
        profile: numerics that the faults were put on.
        shadow: iterations that shadow ops watched.
        settle: iterations that a faulty run went on after it was seen; None where all were run whole.
        false_alarm_rate: that the gate was set to.
        repeats: of the baselines that gate.
        seeds: what each range of seeds was used for.
        command: what reproduces it.
        commit: of the working tree.
        made: UTC time, ISO 8601.
        seconds: worker time of all runs together.
        runs: how many there are, those that others are compared with among them.
        execution: what this command made of them; None where it made none.
        sampling: which of the faulty runs were drawn; None where all were asked for.
    """

    faults: tuple[FaultRow, ...]
    healthy: tuple[HealthyRow, ...]
    ensembles: tuple[EnsembleRow, ...] = ()
    not_run: tuple[NotRun, ...] = ()
    missing: Mapping[str, int] = field(default_factory=dict)
    iterations: Mapping[str, int] = field(default_factory=dict)
    tiers: Mapping[str, str] = field(default_factory=dict)
    profile: str = ""
    shadow: tuple[int, ...] = ()
    settle: int | None = None
    false_alarm_rate: float = 0.0
    repeats: Mapping[str, int] = field(default_factory=dict)
    seeds: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    commit: str = ""
    made: str = ""
    seconds: float = 0.0
    runs: int = 0
    execution: Execution | None = None
    sampling: Sampling | None = None

    @property
    def cases(self) -> tuple[str, ...]:
        """The cases, in order."""
        rows = [*(row.case for row in self.faults), *(row.case for row in self.healthy)]
        return tuple(dict.fromkeys([*self.iterations, *rows]))

    @property
    def with_change(self) -> tuple[FaultRow, ...]:
        """The faulty runs that aren't equal, in all that is recorded, to the plain run's last bit."""
        return tuple(row for row in self.faults if row.changes_anything)

    @property
    def with_effect(self) -> tuple[FaultRow, ...]:
        """The faulty runs whose fault has an effect."""
        return tuple(row for row in self.faults if row.has_effect)

    @property
    def unseen(self) -> tuple[FaultRow, ...]:
        """The faulty runs that the gate let pass, with all its signals."""
        return tuple(row for row in self.faults if not row.detection.seen_at_all)

    @property
    def shadowed(self) -> bool:
        """Whether shadow ops were among the signals."""
        return any(row.detection.shadowed for row in self.faults) or any(row.detection.shadowed for row in self.healthy)

    @property
    def forced(self) -> bool:
        """Whether hard inputs were."""
        return any(row.detection.forced for row in self.faults) or any(row.detection.forced for row in self.healthy)

    @property
    def gate(self) -> GateRates:
        """The gate with all its signals, shadow ops and hard inputs among them where there were any.

        In a study that is not whole, of the runs that have what the others have of these.
        """
        return self._rates(lambda detection: detection.seen_at_all, self._with_all_signals)

    @property
    def gate_without_hard_inputs(self) -> GateRates:
        """The gate as it is with shadow ops, and without ``--forced``; of the runs that they were to watch."""
        return self._rates(lambda detection: detection.seen_with_shadow, lambda detection: detection.shadowed)

    @property
    def gate_without_shadow(self) -> GateRates:
        """The gate as it is without shadow ops."""
        return self._rates(lambda detection: detection.seen, lambda detection: True)

    @property
    def shadowed_layers(self) -> Mapping[str, tuple[FaultRow, ...]]:
        """The faulty runs with an effect that shadow ops watched, by the layer that the fault strikes."""
        rows = [row for row in self.with_effect if row.detection.shadowed]
        layers = dict.fromkeys(row.strikes for row in rows)
        return {layer: tuple(row for row in rows if row.strikes == layer) for layer in layers}

    @property
    def legacy_detected(self) -> Rate:
        """Of the faulty runs, by the legacy rule, on the iterations that they have; what crashed is seen by anyone."""
        return _rate(self.faults, lambda row: row.detection.legacy_fails or row.ending == "crashed")

    @property
    def legacy_false_alarms(self) -> Rate:
        """Of the healthy ports, by the legacy rule."""
        return _rate(self.healthy, lambda row: row.detection.legacy_fails)

    @property
    def median_iterations(self) -> float | None:
        """Iterations to detection, of the faulty runs that were seen."""
        within = [row.detection.within for row in self.faults if row.detection.within is not None]
        return float(median(within)) if within else None

    @property
    def rules(self) -> tuple[str, ...]:
        """The columns: the known rules, then any other that called a run."""
        detections = [*(row.detection for row in self.faults), *(row.detection for row in self.healthy)]
        called = {name for detection in detections for name in detection.rules}
        further = {SHADOW: self.shadowed, HARD_INPUTS: self.forced}
        return (*RULES, *sorted(called - set(RULES)), *(column for column, there in further.items() if there))

    def detected_by(self, rule: str) -> Rate:
        """Of the faulty runs, by one rule, by the time that they were stopped."""
        return _rate(self.faults, lambda row: rule in row.detection.called)

    def detected_by_alone(self, rule: str) -> Rate:
        """Of the faulty runs, by this rule and by no other."""
        return _rate(self.faults, lambda row: set(row.detection.called) == {rule})

    def false_alarms_by(self, rule: str) -> Rate:
        """Of the healthy ports, by one rule."""
        return _rate(self.healthy, lambda row: rule in row.detection.called)

    def of_faults(self, *, blind: bool) -> PowerResult:
        """The same study of the faults alone that were written blind, or of those that weren't."""
        return replace(self, faults=tuple(row for row in self.faults if row.blind is blind))

    def healthy_of(self, *, case: str = "", port: str = "") -> tuple[HealthyRow, ...]:
        """The healthy ports of a case, or of a kind."""
        return tuple(row for row in self.healthy if case in {"", row.case} and port in {"", row.port})

    def _with_all_signals(self, detection: Detection) -> bool:
        return (detection.shadowed or not self.shadowed) and (detection.forced or not self.forced)

    def _rates(self, seen: Callable[[Detection], bool], judged: Callable[[Detection], bool]) -> GateRates:
        """How much is seen, of the runs that are judged by all that the gate has."""

        def rate(rows: Sequence[FaultRow] | Sequence[HealthyRow]) -> Rate:
            counted = [row.detection for row in rows if judged(row.detection)]
            return Rate(_count(map(seen, counted)), len(counted))

        return GateRates(
            detected=rate(self.faults),
            detected_with_change=rate(self.with_change),
            detected_with_effect=rate(self.with_effect),
            false_alarms=rate(self.healthy),
        )


def _rate(rows: Sequence[FaultRow] | Sequence[HealthyRow], called: Callable[..., bool]) -> Rate:
    return Rate(_count(called(row) for row in rows), len(rows))


def _count(truths: Iterable[bool]) -> int:
    return sum(map(bool, truths))
