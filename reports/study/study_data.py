"""A study's result as JSON and as CSV: every run with what was said of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from harness.lab.power.detection import SHADOW, Detection
from harness.lab.power.outcome import GateRates, PowerResult
from harness.lab.power.proportions import CONFIDENCE, Rate
from harness.lab.power.study_rows import FaultRow
from harness.store.decoding import encode_value
from reports.study.study_rates import blind_rows, shadow_rows

__all__ = ["SCHEMA", "encode_power", "tabulate_faults", "tabulate_healthy"]

SCHEMA = 1


def encode_power(result: PowerResult) -> str:
    """JSON: the rates with counts and intervals, then every run. A number that is not finite is its name."""
    document = {
        "schema": SCHEMA,
        "emulated": True,
        "command": result.command,
        "commit": result.commit,
        "made": result.made,
        "worker_seconds": result.seconds,
        "runs": result.runs,
        "making": None if result.execution is None else asdict(result.execution),
        "settings": {
            "iterations": dict(result.iterations),
            "tiers": dict(result.tiers),
            "repeats": dict(result.repeats),
            "profile": result.profile,
            "settle": result.settle,
            "shadow": list(result.shadow),
            "forced": result.forced,
            "false_alarm_rate": result.false_alarm_rate,
            "seeds": dict(result.seeds),
            "missing": dict(result.missing),
            "sampling": None if result.sampling is None else asdict(result.sampling),
        },
        "rates": {
            "confidence": CONFIDENCE,
            "gate": _gate(result.gate),
            "gate_without_hard_inputs": _gate(result.gate_without_hard_inputs),
            "gate_without_shadow": _gate(result.gate_without_shadow),
            "legacy_detected": _rate(result.legacy_detected),
            "legacy_false_alarms": _rate(result.legacy_false_alarms),
            "median_iterations": result.median_iterations,
        },
        "blind": [
            {"what": name, "known": known.counts, "blind": blind.counts} for name, known, blind in blind_rows(result)
        ],
        "rules": {
            rule: {
                "detected": _rate(result.detected_by(rule)),
                "alone": _rate(result.detected_by_alone(rule)),
                "false_alarms": _rate(result.false_alarms_by(rule)),
            }
            for rule in result.rules
        },
        "shadow_alone": [
            {"strikes": name, "found": found.counts, "named": named.counts}
            for name, found, named in shadow_rows(result)
        ],
        "ensembles": [
            {
                "repeats": row.repeats,
                "ensembles": row.ensembles,
                "detected": _rate(row.detected),
                "detected_with_effect": _rate(row.detected_with_effect),
                "false_alarms": _rate(row.false_alarms),
            }
            for row in result.ensembles
        ],
        "faults": [_fault(row) for row in result.faults],
        "healthy": [
            {
                "case": row.case,
                "port": row.port,
                "seed": row.seed,
                **_detection(row.detection),
                "seconds": row.seconds,
            }
            for row in result.healthy
        ],
        "not_run": [asdict(row) for row in result.not_run],
    }
    return encode_value(document)


def tabulate_faults(result: PowerResult) -> str:
    """CSV: a row a faulty run, a column a rule with the first iteration that it was violated at."""
    rules = result.rules
    header = [
        "case",
        "fault",
        "strikes",
        "blind",
        "severity",
        "ending",
        "iterations",
        "verdict",
        "effect",
        "times rounding",
    ]
    rows: list[Sequence[object]] = [[*header, "legacy", *rules, "reason"]]
    for row in result.faults:
        detection = row.detection
        rows.append(
            [
                *(row.case, row.fault, row.strikes, "yes" if row.blind else "no"),
                *("" if row.severity is None else repr(row.severity), row.ending),
                *(detection.iterations, detection.status.value, row.effect.extent.value, repr(row.effect.times)),
                "fail" if detection.legacy_fails else "pass",
                *_iterations(detection, rules),
                detection.reason,
            ]
        )
    return _csv(rows)


def tabulate_healthy(result: PowerResult) -> str:
    """CSV: a row a healthy port."""
    rules = result.rules
    rows: list[Sequence[object]] = [["case", "port", "seed", "iterations", "verdict", "legacy", *rules, "reason"]]
    for row in result.healthy:
        detection = row.detection
        rows.append(
            [
                *(row.case, row.port, row.seed, detection.iterations, detection.status.value),
                "fail" if detection.legacy_fails else "pass",
                *_iterations(detection, rules),
                detection.reason,
            ]
        )
    return _csv(rows)


def _fault(row: FaultRow) -> dict[str, Any]:
    return {
        "case": row.case,
        "fault": row.fault,
        "strikes": row.strikes,
        "blind": row.blind,
        "severity": row.severity,
        "ending": row.ending,
        **_detection(row.detection),
        "effect": {
            "extent": row.effect.extent.value,
            "times_rounding": row.effect.times,
            "iteration": row.effect.iteration,
            "what": row.effect.what,
        },
        "seconds": row.seconds,
    }


def _detection(detection: Detection) -> dict[str, Any]:
    return {
        "verdict": detection.status.value,
        "reason": detection.reason,
        "seen": detection.seen,
        "iteration": detection.iteration,
        "iterations": detection.iterations,
        "rules": dict(detection.rules),
        "legacy_fails": detection.legacy_fails,
        "shadowed": detection.shadowed,
        "shadow": None if detection.shadow is None else list(detection.shadow),
        "named": detection.named,
        "forced": detection.forced,
        "hard_inputs": detection.hard_inputs,
        "crashed_shadowed": detection.crashed_shadowed,
    }


def _gate(rates: GateRates) -> dict[str, dict[str, Any]]:
    return {item.name: _rate(getattr(rates, item.name)) for item in fields(rates)}


def _rate(rate: Rate) -> dict[str, Any]:
    low, high = rate.interval
    return {"count": rate.count, "total": rate.total, "rate": rate.value, "low": low, "high": high}


def _iterations(detection: Detection, rules: Iterable[str]) -> list[object]:
    """The iteration, ``whole`` of a rule that speaks of the whole run, nothing where it is silent."""
    cells: list[object] = []
    for rule in rules:
        at = detection.shadow[0] if rule == SHADOW and detection.shadow else detection.rules.get(rule)
        cells.append("" if rule not in detection.called else "whole" if at is None else at)
    return cells


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
