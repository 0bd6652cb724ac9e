"""Judging a study's finished runs: no run is made here, so that other rules can be tried on the same runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from harness.lab.faults import parse_fault
from harness.lab.power.detection import detect, detect_by_trace
from harness.lab.power.effect import Effect, Extent, measure_effect
from harness.lab.power.ensembles import cut_ensembles, gate_of
from harness.lab.power.finished_run import FinishedRun
from harness.lab.power.outcome import PowerResult
from harness.lab.power.ports import CALIBRATION_SEEDS, EVALUATION_SEED, rounding_seeds
from harness.lab.power.proportions import Rate
from harness.lab.power.sampled_faults import Sampling
from harness.lab.power.study import CaseStudy
from harness.lab.power.study_plan import Settings, needs
from harness.lab.power.study_rows import EnsembleRow, Execution, FaultRow, HealthyRow, NotRun
from harness.lab.power.study_run import Kind
from harness.rules.gate import Gate

__all__ = ["SIZES", "judge_study"]

SIZES = (5, 8, 16)
"""Repeats that an ensemble is tried with."""


def judge_study(
    studies: Sequence[CaseStudy],
    settings: Settings,
    *,
    false_alarm_rate: float,
    missing: Mapping[str, int],
    command: str,
    commit: str,
    execution: Execution | None = None,
    sampling: Sampling | None = None,
) -> PowerResult:
    """Judge every finished run.

    Args:
        studies: the cases with their runs.
        settings: what was asked for.
        false_alarm_rate: of the gate.
        missing: case → runs that are not there.
        command: what reproduces it.
        commit: of the working tree.
        execution: what the command made of the runs.
        sampling: which of the faulty runs were drawn; None where all were asked for.
    """
    faults = tuple(row for study in studies for row in _fault_rows(study))
    healthy = tuple(row for study in studies for row in _healthy_rows(study))
    records = [record for study in studies for record in study.records]
    return PowerResult(
        faults=faults,
        healthy=healthy,
        ensembles=_ensemble_rows(studies, faults, false_alarm_rate),
        not_run=tuple(NotRun(name, why) for name in settings.faults if (why := needs(parse_fault(name)))),
        missing=dict(missing),
        iterations={study.case.name: study.gate.planned for study in studies},
        tiers={study.case.name: study.gate.demanded for study in studies},
        profile=settings.profile or ", ".join(dict.fromkeys(study.case.tier for study in studies)),
        settle=settings.settle if settings.stops else None,
        shadow=settings.shadow,
        false_alarm_rate=false_alarm_rate,
        repeats={study.case.name: len(study.baseline.tiers[study.gate.demanded]) for study in studies},
        seeds=_seeds(studies, healthy),
        command=command,
        commit=commit,
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=sum(record.seconds for record in records),
        runs=len(records),
        execution=execution,
        sampling=sampling,
    )


def _fault_rows(study: CaseStudy) -> list[FaultRow]:
    twins, rounding = study.of(Kind.TWIN), study.of(Kind.ROUNDING)
    healthy = study.baseline.tiers[study.gate.demanded]
    rows = []
    for record in study.of(Kind.FAULT):
        shadowed = study.shadowed(record)
        fault = parse_fault(record.experiment.name)
        unknown = not twins or not rounding
        rows.append(
            FaultRow(
                case=study.case.name,
                fault=record.experiment.name,
                strikes=fault.strikes,
                summary=fault.summary,
                severity=fault.severity,
                detection=detect(study.gate, record, shadowed),
                effect=Effect(Extent.CLEAR) if unknown else measure_effect(record, twins[0], rounding, healthy),
                ending=record.ending.value,
                seconds=record.seconds + (shadowed.seconds if shadowed else 0.0),
                blind=fault.blind,
            )
        )
    return rows


def _healthy_rows(study: CaseStudy) -> list[HealthyRow]:
    rows = []
    for record in study.of(Kind.HEALTHY):
        shadowed = study.shadowed(record)
        rows.append(
            HealthyRow(
                case=study.case.name,
                port=record.experiment.name.rpartition("-")[0],
                seed=record.experiment.noise_seed,
                detection=detect(study.gate, record, shadowed),
                seconds=record.seconds + (shadowed.seconds if shadowed else 0.0),
            )
        )
    return rows


def _ensemble_rows(
    studies: Sequence[CaseStudy], faults: Sequence[FaultRow], false_alarm_rate: float
) -> tuple[EnsembleRow, ...]:
    """Each size's ensembles judge every run; a case that has too few repeats for a size leaves the size out."""
    with_effect = {(row.case, row.fault) for row in faults if row.has_effect}
    gates = {study.case.name: _gates(study, false_alarm_rate) for study in studies}
    rows = []
    for size in SIZES:
        if not studies or any(not gates[study.case.name].get(size) for study in studies):
            continue
        judged = [
            (study, record, detect_by_trace(gate, record).seen)
            for study in studies
            for gate in gates[study.case.name][size]
            for record in (*study.of(Kind.FAULT), *study.of(Kind.HEALTHY))
        ]
        faulty = [(study, record, seen) for study, record, seen in judged if record.experiment.kind is Kind.FAULT]
        effective = [seen for study, record, seen in faulty if _name(study, record) in with_effect]
        healthy = [seen for _, record, seen in judged if record.experiment.kind is Kind.HEALTHY]
        rows.append(
            EnsembleRow(
                repeats=size,
                ensembles=sum(len(gates[study.case.name][size]) for study in studies),
                detected=Rate(sum(seen for _, _, seen in faulty), len(faulty)),
                detected_with_effect=Rate(sum(effective), len(effective)),
                false_alarms=Rate(sum(healthy), len(healthy)),
            )
        )
    return tuple(rows)


def _gates(study: CaseStudy, false_alarm_rate: float) -> dict[int, tuple[Gate, ...]]:
    tier, planned = study.gate.demanded, study.gate.planned
    further = [record.trace for record in study.of(Kind.REPEAT) if record.trace is not None]
    runs = [run.head(planned) for run in (*study.baseline.tiers[tier], *further)]
    baseline = study.baseline
    return {
        size: tuple(gate_of(baseline, tier, ensemble, planned, false_alarm_rate) for ensemble in ensembles)
        for size, ensembles in cut_ensembles(runs, SIZES).items()
    }


def _name(study: CaseStudy, record: FinishedRun) -> tuple[str, str]:
    return study.case.name, record.experiment.name


def _seeds(studies: Sequence[CaseStudy], healthy: Sequence[HealthyRow]) -> dict[str, str]:
    repeats = max((len(s.baseline.tiers[s.gate.demanded]) + len(s.of(Kind.REPEAT)) for s in studies), default=0)
    rounding = rounding_seeds(max((len(study.of(Kind.ROUNDING)) for study in studies), default=0))
    seeds = {"calibration (bounds)": f"0 … {repeats - 1}, all below {CALIBRATION_SEEDS}"}
    if rounding:
        seeds["what rounding does to gradients"] = f"{rounding[0]} … {rounding[-1]}"
    if healthy:
        seeds["evaluation (false alarms)"] = f"{EVALUATION_SEED} … {max(row.seed for row in healthy)}"
    return seeds
