"""A study's result as Markdown, for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.lab.power.effect import CLEARLY
from harness.lab.power.outcome import PowerResult
from reports.study.study_faults import heat_rows, unseen_rows
from reports.study.study_rates import (
    BLIND_NOTE,
    SHADOW_NOTE,
    RateRow,
    alarm_rows,
    blind_rows,
    execution_words,
    port_rows,
    rate_row,
    rate_rows,
    rule_rows,
    shadow_rows,
    split_rows,
)

__all__ = ["render_markdown"]


def render_markdown(result: PowerResult) -> str:
    """Tables with counts and 95 % intervals, the command and the commit."""
    parts = [
        "# What the gate sees",
        _opening(result),
        _table(("what", "count", "rate", "95 % interval"), [_rate(row) for row in rate_rows(result)]),
        _median(result),
        *_blind(result),
        "## By case, and by the layer that a fault strikes",
        _table(
            ("faults", "detected", "rate", "95 % interval", "of those with an effect", "rate", "95 % interval"),
            [[name, *_cells(every), *_cells(effective)] for name, every, effective in split_rows(result)],
        ),
        "## By rule",
        _table(
            ("rule", "detected", "rate", "95 % interval", "by it alone", "false alarms"),
            [[name, *_cells(seen), alone.counts, false.counts] for name, seen, alone, false in rule_rows(result)],
        ),
        *_shadow(result),
        *_ensembles(result),
        "## Healthy ports",
        _table(
            ("port", "what is different", "false alarms", "rate", "95 % interval"),
            [[name, summary, *_cells(row)] for name, summary, row in port_rows(result)],
        ),
        *_alarms(result),
        *_unseen(result),
        *_heat(result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(result: PowerResult) -> str:
    seeds = "; ".join(f"{what}: {seeds}" for what, seeds in result.seeds.items())
    stopped = (
        "Every run was run to its end."
        if result.settle is None
        else f"A faulty run ended {result.settle} iterations after it was seen: rules and the legacy rule judge what "
        "the run has."
    )
    iterations = ", ".join(f"{case} {count}" for case, count in result.iterations.items())
    seen = "it is seen, by more than hard inputs" if result.forced else "it is seen"
    took = _sentence(execution_words(result))
    sampled = _sentence(str(result.sampling)) if result.sampling else ""
    return (
        f"Faults and healthy ports on the **emulated** device: evidence about the gate, none about real hardware. "
        f"Made {result.made} at commit `{result.commit or 'unknown'}` by\n\n    {result.command}\n\n"
        f"{took}{sampled}Iterations: {iterations}. Faults were put on {result.profile} numerics. {stopped} The bounds "
        f"were fixed beforehand by the baselines; seeds of healthy noise: {seeds}. Intervals are Clopper–Pearson's. A "
        f"fault has an effect where it changes a recorded signal, a gradient or an update more than {CLEARLY:g} times "
        f"as far as other rounding changes it, beside a plain run that is equal to the bit but for the fault; or where "
        f"{seen}."
    )


def _sentence(words: str) -> str:
    """The words with a capital, a full stop and a space behind it; nothing of none."""
    return f"{words[0].upper()}{words[1:]}. " if words else ""


def _median(result: PowerResult) -> str:
    if result.median_iterations is None:
        return ""
    return f"Median iterations to detection: {result.median_iterations:g}."


def _blind(result: PowerResult) -> list[str]:
    rows = [[name, *_cells(known), *_cells(blind)] for name, known, blind in blind_rows(result)]
    header = ("what", "known faults", "rate", "95 % interval", "blind faults", "rate", "95 % interval")
    return ["## Faults that were written blind", BLIND_NOTE, _table(header, rows)] if rows else []


def _shadow(result: PowerResult) -> list[str]:
    if not result.shadowed:
        return []
    watched = ", ".join(map(str, result.shadow))
    header = ("layer", "found", "rate", "95 % interval", "of these named rightly", "rate", "95 % interval")
    rows = [[name, *_cells(found), *_cells(named)] for name, found, named in shadow_rows(result)]
    return ["## Shadow ops alone", SHADOW_NOTE.format(watched=watched), _table(header, rows)]


def _ensembles(result: PowerResult) -> list[str]:
    if not result.ensembles:
        return []
    rows = [
        [
            str(row.repeats),
            str(row.ensembles),
            *_cells(rate_row("", row.detected))[:2],
            *_cells(rate_row("", row.detected_with_effect))[:2],
            *_cells(rate_row("", row.false_alarms)),
        ]
        for row in result.ensembles
    ]
    header = ("k", "ensembles", "detected", "rate", "with an effect", "rate", "false alarms", "rate", "95 % interval")
    note = (
        "Each ensemble of k repeats of the demanded tier judges every run of its case; where there are several, each "
        "run counts several times."
    )
    return ["## By the number of repeats", note, _table(header, rows)]


def _alarms(result: PowerResult) -> list[str]:
    return ["\n".join(f"- {row}" for row in alarm_rows(result))]


def _unseen(result: PowerResult) -> list[str]:
    rows = [[row.fault, row.case, row.summary, row.why] for row in unseen_rows(result)]
    not_run = ", ".join(f"`{row.fault}` (needs {row.needs})" for row in result.not_run)
    return [
        "## What nothing sees",
        _table(("fault", "case", "what it does", "why it is not seen"), rows) if rows else "Nothing.",
        f"Not run here: {not_run}." if not_run else "",
    ]


def _heat(result: PowerResult) -> list[str]:
    rows = [
        [row.fault, row.gate.text, *(cell.text for cell in row.cells), row.legacy.text, row.effect, row.iterations]
        for row in heat_rows(result)
    ]
    header = ("fault", "gate", *result.rules, "legacy", "effect", "iterations")
    return ["## Fault × rule", "Cases in which each is seen.", _table(header, rows)] if rows else []


def _rate(row: RateRow) -> list[str]:
    return [row.name, *_cells(row)]


def _cells(row: RateRow) -> list[str]:
    return [row.counts, row.share, row.interval]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
