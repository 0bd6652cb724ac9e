"""The rates of a study with their counts and intervals, worded for the page and for Markdown alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.lab.power.outcome import GateRates, PowerResult
from harness.lab.power.ports import PORTS
from harness.lab.power.proportions import Rate
from harness.lab.power.study_rows import FaultRow, HealthyRow
from reports.words.wording import duration

__all__ = [
    "BLIND_NOTE",
    "SHADOW_NOTE",
    "RateRow",
    "alarm_rows",
    "blind_rows",
    "execution_words",
    "percent",
    "port_rows",
    "rate_row",
    "rate_rows",
    "rule_rows",
    "shadow_rows",
    "split_rows",
]

_NARROW = "\u202f"

_NOTHING = Rate(0, 0)

_OPERATIONS = ("kernel", "autograd", "optimizer")
"""The layers that shadow ops are made for."""


BLIND_NOTE = (
    "The gate was made with the known faults before its makers' eyes. The blind ones were written after its rules were "
    "fixed, most of them from public reports of real bugs, by who had seen neither those rules nor what they find."
)

SHADOW_NOTE = (
    "Shadow ops watched iterations {watched} of each run and nothing else: of the faults with an effect in the whole "
    "run, how many they find by themselves there, a fault that begins later or that these batches don't touch "
    "included. A finding is right where it names the operation that the fault changes and, for a fault of a single "
    "layer, that layer's module."
)


@dataclass(frozen=True)
class RateRow:
    """A rate with its counts.

    Args:
        name: of what.
        counts: ``412 of 424``.
        share: ``97.2 %``.
        interval: ``95.1 … 98.5 %``.
    """

    name: str
    counts: str
    share: str
    interval: str


def percent(rate: Rate) -> str:
    """``97.2 %``; a dash of nothing."""
    return "–" if rate.value is None else f"{100 * rate.value:.1f}{_NARROW}%"


def rate_row(name: str, rate: Rate) -> RateRow:
    """A rate, worded."""
    low, high = rate.interval
    interval = f"{100 * low:.1f} … {100 * high:.1f}{_NARROW}%" if rate.total else "–"
    return RateRow(name, f"{rate.count} of {rate.total}", percent(rate), interval)


def rate_rows(result: PowerResult) -> tuple[RateRow, ...]:
    """The rates that the study is about."""
    without = "without shadow ops: " if result.shadowed else ""
    return (
        *(_gate_rows("with shadow ops and hard inputs: ", result.gate) if result.forced else ()),
        *(_gate_rows("with shadow ops: ", result.gate_without_hard_inputs) if result.shadowed else ()),
        *_gate_rows(without, result.gate_without_shadow),
        rate_row("legacy rule: detected, of the same faulty runs", result.legacy_detected),
        rate_row("legacy rule: false alarms, of the same healthy ports", result.legacy_false_alarms),
    )


def _gate_rows(with_what: str, rates: GateRates) -> tuple[RateRow, ...]:
    return (
        rate_row(f"{with_what}detected, of all faulty runs", rates.detected),
        rate_row(f"{with_what}detected, of those that change any recorded bit", rates.detected_with_change),
        rate_row(f"{with_what}detected, of those with an effect", rates.detected_with_effect),
        rate_row(f"{with_what}false alarms, of healthy ports", rates.false_alarms),
    )


def blind_rows(result: PowerResult) -> tuple[tuple[str, RateRow, RateRow], ...]:
    """Detection of the faults that the gate was made with, beside those written blind; nothing without any of these."""
    if not result.of_faults(blind=True).faults:
        return ()
    known, blind = ({row.name: row for row in rate_rows(result.of_faults(blind=side))} for side in (False, True))
    names = [row.name for row in rate_rows(result) if "false alarms" not in row.name]
    return tuple((name, known.get(name, rate_row(name, _NOTHING)), blind[name]) for name in names)


def split_rows(result: PowerResult) -> tuple[tuple[str, RateRow, RateRow], ...]:
    """Detection by case and by the layer that a fault strikes: of all, and of those with an effect."""
    groups = [(case, [row for row in result.faults if row.case == case]) for case in result.cases]
    layers = dict.fromkeys(row.strikes for row in result.faults)
    groups += [(layer, [row for row in result.faults if row.strikes == layer]) for layer in layers]
    return tuple((name, rate_row(name, _seen(rows)), rate_row(name, _seen(_effective(rows)))) for name, rows in groups)


def shadow_rows(result: PowerResult) -> tuple[tuple[str, RateRow, RateRow], ...]:
    """Shadow ops alone, by the layer that a fault strikes: what they find, and how much of it they name rightly."""
    layers = result.shadowed_layers
    groups = [(layer, rows) for layer, rows in layers.items()]
    if all(layer in layers for layer in _OPERATIONS):
        together = tuple(row for layer in _OPERATIONS for row in layers[layer])
        groups.append((f"{', '.join(_OPERATIONS[:-1])} and {_OPERATIONS[-1]}", together))
    return tuple((name, rate_row(name, _found(rows)), rate_row(name, _named(rows))) for name, rows in groups)


def rule_rows(result: PowerResult) -> tuple[tuple[str, RateRow, RateRow, RateRow], ...]:
    """Each rule: what it detects, what it detects alone, its false alarms."""
    return tuple(
        (
            rule,
            rate_row(rule, result.detected_by(rule)),
            rate_row(rule, result.detected_by_alone(rule)),
            rate_row(rule, result.false_alarms_by(rule)),
        )
        for rule in result.rules
    )


def port_rows(result: PowerResult) -> tuple[tuple[str, str, RateRow], ...]:
    """False alarms by kind of healthy port: name, what it is, rate."""
    rows = []
    for port in PORTS:
        ports = result.healthy_of(port=port.name)
        if ports:
            rate = Rate(sum(row.detection.seen_at_all for row in ports), len(ports))
            rows.append((port.name, port.summary, rate_row(port.name, rate)))
    return tuple(rows)


def alarm_rows(result: PowerResult) -> tuple[str, ...]:
    """Every false alarm: which port, and what was said of it."""
    return tuple(
        f"{row.case}, {row.port}, seed {row.seed}: {_alarm(row)}" for row in result.healthy if row.detection.seen_at_all
    )


def execution_words(result: PowerResult) -> str:
    """How long it took to make the runs, in a sentence; empty where this command made none."""
    execution = result.execution
    if execution is None or not execution.runs:
        return ""
    whole = f"all {result.runs} runs" if execution.runs == result.runs else f"{execution.runs} of {result.runs} runs"
    return f"{whole} were made by this command, {execution.workers} at a time, in {duration(execution.seconds)}"


def _alarm(row: HealthyRow) -> str:
    """The gate's sentence, or that of shadow ops or hard inputs where the gate would have opened without them."""
    detection = row.detection
    if detection.seen:
        return detection.reason
    if detection.shadow:
        return f"shadow: {detection.shadow[1]}"
    return "crash under shadow ops" if detection.crashed_shadowed else f"hard inputs: {detection.hard_inputs}"


def _seen(rows: Sequence[FaultRow]) -> Rate:
    return Rate(sum(row.detection.seen_at_all for row in rows), len(rows))


def _found(rows: Sequence[FaultRow]) -> Rate:
    return Rate(sum(row.detection.shadow is not None for row in rows), len(rows))


def _named(rows: Sequence[FaultRow]) -> Rate:
    found = [row for row in rows if row.detection.shadow is not None]
    return Rate(sum(bool(row.detection.named) for row in found), len(found))


def _effective(rows: Sequence[FaultRow]) -> list[FaultRow]:
    return [row for row in rows if row.has_effect]
