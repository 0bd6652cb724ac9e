"""The page of a power study."""

from __future__ import annotations

from collections.abc import Mapping

from harness.lab.power.effect import CLEARLY
from harness.lab.power.outcome import PowerResult
from harness.lab.power.proportions import Rate
from harness.language import say
from reports.run.environment import render
from reports.run.tiles import Tile
from reports.study.study_faults import heat_rows, unseen_rows
from reports.study.study_rates import (
    BLIND_NOTE,
    SHADOW_NOTE,
    alarm_rows,
    blind_rows,
    execution_words,
    percent,
    port_rows,
    rate_row,
    rate_rows,
    rule_rows,
    shadow_rows,
    split_rows,
)
from reports.words.wording import NOTHING, duration

__all__ = ["render_power"]


def render_power(result: PowerResult) -> str:
    """The page: one HTML document that needs neither network nor script.

    Args:
        result: of a study, or of a part of it; what is missing the page says.
    """
    heat = heat_rows(result)
    return render(
        "power.html.j2",
        title=f"{say(f'{percent(result.gate.detected)} of faults detected')} · EMULATED",
        script_source="",
        tiles=_tiles(result),
        rates=rate_rows(result),
        blind_rows=blind_rows(result),
        blind_note=BLIND_NOTE,
        splits=split_rows(result),
        cases=result.cases,
        rules=result.rules,
        rule_rows=rule_rows(result),
        shadow_rows=shadow_rows(result),
        shadow_note=SHADOW_NOTE.format(watched=", ".join(map(str, result.shadow))),
        ports=port_rows(result),
        ensembles=[
            (row, rate_row("", row.detected), rate_row("", row.detected_with_effect), rate_row("", row.false_alarms))
            for row in result.ensembles
        ],
        layers=[(layer, [row for row in heat if row.strikes == layer]) for layer in _layers(result)],
        unseen=unseen_rows(result),
        alarms=alarm_rows(result),
        not_run=", ".join(f"{row.fault} (needs {row.needs})" for row in result.not_run),
        missing=", ".join(f"{count} runs of {case}" for case, count in result.missing.items() if count),
        result=result,
        clearly=f"{CLEARLY:g}",
        iterations=_spelled(result.iterations),
        tiers=_spelled(result.tiers),
        repeats=_spelled(result.repeats),
        worker_time=duration(result.seconds),
        execution=execution_words(result),
    )


def _tiles(result: PowerResult) -> tuple[Tile, ...]:
    iterations = result.median_iterations
    return (
        _tile("Faulty runs detected", result.gate.detected),
        _tile("… with an effect", result.gate.detected_with_effect),
        _tile("False alarms", result.gate.false_alarms),
        Tile("Iterations to detect", NOTHING if iterations is None else f"{iterations:g}", "median of what is seen"),
        _tile("Legacy rule detects", result.legacy_detected),
        Tile("Time", duration(result.seconds), "of all runs together"),
    )


def _tile(name: str, rate: Rate) -> Tile:
    row = rate_row(name, rate)
    return Tile(name, row.share, f"{row.counts}; 95 %: {row.interval}")


def _layers(result: PowerResult) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.strikes for row in result.faults))


def _spelled(values: Mapping[str, object]) -> str:
    """``30``, where every case has the same; else case by case."""
    if len(set(values.values())) == 1:
        return str(next(iter(values.values())))
    return ", ".join(f"{case} {value}" for case, value in values.items())
