"""A study: its experiments are planned, those that the work folder lacks are run, and all are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from harness.lab.power.code_digest import code_digest
from harness.lab.power.detection import detect_by_trace, found_by_shadow
from harness.lab.power.finished_run import Ending, FinishedRun, find_record
from harness.lab.power.sampled_faults import Sampling, draw_faults
from harness.lab.power.study_folder import OUTCOME
from harness.lab.power.study_plan import Settings, plan_case
from harness.lab.power.study_run import Experiment, Kind
from harness.lab.power.study_worker import Request
from harness.lab.power.workers import run_requests
from harness.rules.budget import FALSE_ALARM_RATE
from harness.rules.gate import Gate
from harness.store.baselines import load_baseline
from harness.values.baseline import Baseline
from harness.values.case import Case
from harness.values.errors import RunError

__all__ = ["CaseStudy", "Progress", "Study"]

_TIMEOUT_SECONDS = 1800.0

Progress = Callable[[int, int, Experiment | None], None]
"""Called with how many are done, how many there are, and the experiment that ended last."""


@dataclass(frozen=True, eq=False)
class CaseStudy:
    """One case, its baseline, and its finished runs.

    Args:
        case: what was run.
        baseline: what it is judged by.
        gate: of the whole baseline.
        records: every finished run.
    """

    case: Case
    baseline: Baseline
    gate: Gate
    records: tuple[FinishedRun, ...]

    def of(self, kind: Kind) -> tuple[FinishedRun, ...]:
        """The runs of one kind."""
        return tuple(record for record in self.records if record.experiment.kind is kind)

    def shadowed(self, record: FinishedRun) -> FinishedRun | None:
        """The run that shadow ops watched, of a faulty run or of a healthy port; None where there is none."""
        return self._shadowed.get(record.experiment.name)

    @cached_property
    def _shadowed(self) -> Mapping[str, FinishedRun]:
        return {record.experiment.name: record for record in self.of(Kind.SHADOWED)}


class Study:
    """A study of some cases in a work folder, which may be one part of several.

    Args:
        cases: to run.
        settings: what to run of each.
        work_dir: where the runs lie; one finished run is one folder, and is never run twice.
        baselines: root of the baselines.
        false_alarm_rate: of the gate.
        elsewhere: runs what is missing on other machines; on this one where None.

    Attributes:
        sampling: which of the faulty runs were drawn; None where all are run.

    Raises:
        BaselineError: a case has no baseline, or none that can be read.
        UsageError: the baseline is too short.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        settings: Settings,
        work_dir: Path,
        baselines: Path,
        false_alarm_rate: float = FALSE_ALARM_RATE,
        elsewhere: Callable[[Sequence[Request], Callable[[Request], None]], None] | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._work_dir = work_dir.resolve()
        self._baselines = baselines.resolve()
        self._rate = false_alarm_rate
        self._settings = settings
        self._cases = tuple(cases)
        self.sampling: Sampling | None = None
        self._gates: dict[str, Gate] = {}
        self._plans: dict[str, tuple[list[Experiment], list[Experiment]]] = {}
        chosen = self._draw()
        for case in cases:
            baseline = load_baseline(self._baselines, case.name, case.reference)
            planned = settings.iterations or case.iterations
            baseline.require_sampling(tier=case.tier, iterations=planned)
            self._gates[case.name] = Gate(baseline, planned, case.tier, false_alarm_rate)
            asked = replace(settings, faults=chosen.get(case.name, settings.faults))
            self._plans[case.name] = plan_case(case, asked, len(baseline.tiers[case.tier]))

    def _draw(self) -> Mapping[str, tuple[str, ...]]:
        """Case → the faults that were drawn for it; nothing where all are run."""
        if not self._settings.sample:
            return {}
        names = [case.name for case in self._cases]
        chosen, self.sampling = draw_faults(
            names, self._settings.faults, self._settings.sample, self._settings.sample_seed
        )
        return chosen

    def run(self, jobs: int, on_progress: Progress) -> int:
        """Run what is missing: first what others lean on, then those others, then what was stopped too early.

        Returns:
            How many runs were made.

        Raises:
            RunError: a twin, a run with other rounding or a repeat could not be made.
        """
        made = 0
        for stage in (0, 1):
            experiments = [e for case in self._cases for e in self._plans[case.name][stage]]
            made += self._run_missing(jobs, experiments, on_progress)
            self._require_whole(experiments)
        stale = [record.experiment for record in self._stopped_too_early()]
        for experiment in stale:
            (self._folder(experiment) / OUTCOME).unlink()
        return made + self._run_missing(jobs, [_unstopped(experiment) for experiment in stale], on_progress)

    def collect(self) -> tuple[CaseStudy, ...]:
        """Every case with the runs that are there."""
        return tuple(
            CaseStudy(
                case,
                self._gates[case.name].baseline,
                self._gates[case.name],
                tuple(record for e in self._of(case) if (record := self._find(e)) is not None),
            )
            for case in self._cases
        )

    def missing(self) -> Mapping[str, int]:
        """Case → how many of its runs are not there."""
        return {case.name: sum(self._find(e) is None for e in self._of(case)) for case in self._cases}

    def _of(self, case: Case) -> list[Experiment]:
        return [experiment for stage in self._plans[case.name] for experiment in stage]

    def _run_missing(self, jobs: int, experiments: Sequence[Experiment], on_progress: Progress) -> int:
        missing = [experiment for experiment in experiments if self._find(experiment) is None]
        done = len(experiments) - len(missing)
        on_progress(done, len(experiments), None)
        count = [done]

        def on_done(asked: Request) -> None:
            count[0] += 1
            on_progress(count[0], len(experiments), asked.experiment)

        requests = [self._request(experiment) for experiment in missing]
        if self._elsewhere is not None:
            self._elsewhere(requests, on_done)
        else:
            run_requests(requests, jobs, self._work_dir / "logs", _TIMEOUT_SECONDS, on_done)
        return len(missing)

    def _request(self, experiment: Experiment) -> Request:
        twin = str(self._twin(experiment) or "")
        tier = self._gates[experiment.case].demanded
        return Request(experiment, str(self._folder(experiment)), twin, str(self._baselines), tier, self._rate)

    def _twin(self, experiment: Experiment) -> Path | None:
        twins = [e for e in self._plans[experiment.case][0] if e.kind is Kind.TWIN]
        return self._folder(twins[0]) if twins else None

    def _find(self, experiment: Experiment) -> FinishedRun | None:
        """A finished run; one that was stopped doesn't serve where a whole one is asked for."""
        record = find_record(self._folder(experiment))
        if record is not None and record.ending is Ending.STOPPED and not experiment.stops:
            return None
        return record

    def _folder(self, experiment: Experiment) -> Path:
        code = code_digest(Path(experiment.config), shadowed=bool(experiment.shadow))
        return self._work_dir / experiment.case / experiment.key(code)

    def _require_whole(self, experiments: Sequence[Experiment]) -> None:
        for experiment in experiments:
            record = self._find(experiment)
            leaned_on = experiment.kind in {Kind.TWIN, Kind.ROUNDING, Kind.REPEAT}
            if leaned_on and record is not None and record.ending is not Ending.COMPLETE:
                (record.folder / OUTCOME).unlink()
                raise RunError(
                    "a run that others are compared with could not be made",
                    where=f"{experiment.case}, {experiment.kind.value} {experiment.name}",
                    observed=record.error,
                    hint="the same command goes on where it was",
                )

    def _stopped_too_early(self) -> list[FinishedRun]:
        """Runs that were stopped by the rules of another time, and that today's don't see."""
        return [
            record
            for case_study in self.collect()
            for record in (*case_study.of(Kind.FAULT), *case_study.of(Kind.SHADOWED))
            if record.ending is Ending.STOPPED and not _is_seen(case_study.gate, record)
        ]


def _is_seen(gate: Gate, record: FinishedRun) -> bool:
    if record.experiment.kind is Kind.SHADOWED:
        return found_by_shadow(record, gate.demanded)
    return detect_by_trace(gate, record).seen


def _unstopped(experiment: Experiment) -> Experiment:
    return replace(experiment, stops=False, settle=0)
