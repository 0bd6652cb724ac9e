"""A row a fault of a study: what each rule says of it over the cases, and why nothing sees it where nothing does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from harness.lab.power.detection import Detection
from harness.lab.power.effect import Effect, Extent
from harness.lab.power.outcome import PowerResult
from harness.lab.power.study_rows import FaultRow

__all__ = ["Cell", "HeatRow", "UnseenRow", "heat_rows", "unseen_rows"]


@dataclass(frozen=True)
class Cell:
    """What one rule says of one fault over the cases.

    Args:
        text: in how many cases it was violated; empty for none.
        shade: 0 … 4, how large a share of the cases that is.
        words: the same for who can't see the shade.
    """

    text: str
    shade: int
    words: str


@dataclass(frozen=True)
class HeatRow:
    """A fault over the cases.

    Args:
        fault: its name.
        strikes: the layer that it acts on.
        summary: what it does.
        gate: what the gate says.
        cells: a cell a rule.
        legacy: what the legacy rule says.
        iterations: median iterations to detection.
        effect: in how many cases it has one.
    """

    fault: str
    strikes: str
    summary: str
    gate: Cell
    cells: tuple[Cell, ...]
    legacy: Cell
    iterations: str
    effect: str


@dataclass(frozen=True)
class UnseenRow:
    """A faulty run that the gate let pass, and why."""

    fault: str
    case: str
    summary: str
    why: str


def heat_rows(result: PowerResult) -> tuple[HeatRow, ...]:
    """A row a fault, by the layer that it strikes, in the catalogue's order."""
    layers = {layer: number for number, layer in enumerate(dict.fromkeys(row.strikes for row in result.faults))}
    names = sorted({row.fault: row.strikes for row in result.faults}.items(), key=lambda item: layers[item[1]])
    return tuple(_heat_row(result, [row for row in result.faults if row.fault == name]) for name, _ in names)


def unseen_rows(result: PowerResult) -> tuple[UnseenRow, ...]:
    """What the gate let pass, those without an effect last."""
    rows = sorted(result.unseen, key=lambda row: (not row.has_effect, row.fault))
    return tuple(UnseenRow(row.fault, row.case, row.summary, _why(row)) for row in rows)


def _heat_row(result: PowerResult, rows: Sequence[FaultRow]) -> HeatRow:
    detections = [row.detection for row in rows]
    within = [detection.within for detection in detections if detection.within is not None]
    return HeatRow(
        fault=rows[0].fault,
        strikes=rows[0].strikes,
        summary=rows[0].summary,
        gate=_cell([detection.seen_at_all for detection in detections]),
        cells=tuple(_rule_cell(rule, detections) for rule in result.rules),
        legacy=_cell([row.detection.legacy_fails or row.ending == "crashed" for row in rows]),
        iterations=f"{median(within):g}" if within else "–",
        effect=f"{sum(row.has_effect for row in rows)}/{len(rows)}",
    )


def _rule_cell(rule: str, detections: Sequence[Detection]) -> Cell:
    return _cell([rule in detection.called for detection in detections])


def _cell(called: Sequence[bool]) -> Cell:
    count, total = sum(called), len(called)
    shade = 0 if not count else max(1, round(4 * count / total))
    return Cell(f"{count}/{total}" if count else "", shade, f"{count} of {total} cases")


def _why(row: FaultRow) -> str:
    return f"{_effect_words(row.effect)}{'' if row.ending != 'crashed' else '; the run crashed'}"


def _effect_words(effect: Effect) -> str:
    if effect.extent is Extent.NONE:
        return "no effect here: every signal, gradient and update is equal to the plain run's to the bit"
    if effect.extent is Extent.ROUNDING:
        return f"below rounding: at most {effect.times:.2g} times what other rounding does"
    return f"{effect.what} at iteration {effect.iteration} changes {effect.times:.2g} times as far as by rounding"
