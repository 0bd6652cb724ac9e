"""The heat map of shadow ops: modules in forward order along it, operations down it, each cell its worst tensor.

A model has hundreds of modules, so a module is a thin column and the whole map stays in sight; every violation wears a
diamond and the number of its row in the table, so that neither width nor colour is needed to find it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from harness.shadow.evidence.checks import Part, ShadowRow
from harness.shadow.judging.error_model import family_of

__all__ = ["CLASSES", "HeatClass", "Heatmap", "Label", "Mark", "draw_heatmap", "stage_of"]


@dataclass(frozen=True)
class HeatClass:
    """A shade: from which multiple of the bound on, and how that is said."""

    name: str
    least: float
    words: str


CLASSES = (
    HeatClass("h0", 0.0, "below 0.001 of its bound"),
    HeatClass("h1", 1e-3, "0.001 to 0.01"),
    HeatClass("h2", 1e-2, "0.01 to 0.1"),
    HeatClass("h3", 1e-1, "0.1 to 1"),
    HeatClass("h4", 1.0, "violated, up to 10 times its bound"),
    HeatClass("h5", 10.0, "10 times and more"),
)
"""Shades, by how often its bound a cell's worst tensor is, on a log scale."""

_LEFT, _TOP, _WIDTH = 215.0, 6.0, 840.0  # of labels, above, and of the columns
_ROW, _GAP, _FOOT = 13.0, 9.0, 150.0
_WIDEST, _APART, _CHARACTER = 16.0, 12.0, 6.0
_LONGEST = 24  # characters under the columns
_LONGEST_OPERATION = 34
_MERGED = {
    Part.BUFFERS: "buffers",
    Part.LOSS: "loss",
    Part.TRANSFER: "moves",
    Part.RANDOM: "random draws",
    Part.REDUCE: "gradients gathered",
    Part.PRECISION: "stored precision",
}
_ORDER = (
    *(Part.FORWARD, Part.BUFFERS, Part.BACKWARD, Part.REDUCE, Part.OPTIMIZER, Part.LOSS, Part.PRECISION),
    *(Part.RANDOM, Part.TRANSFER),
)


@dataclass(frozen=True)
class Label:
    """A word at a place of the drawing."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Mark:
    """A violated cell: its centre, its number in the table (0 for none in sight), and what it is."""

    x: float
    y: float
    number: int
    text: str


@dataclass(frozen=True)
class Heatmap:
    """A drawing, ready to be written as SVG.

    Args:
        width, height: of the view box.
        cells: class → path of all its cells.
        operations: a label a row of cells.
        parts: a label a group of rows.
        stages: a label a stretch of columns.
        edges: x of the borders between stages.
        bottom: y where the cells end.
        marks: the violated cells.
    """

    width: float
    height: float
    cells: tuple[tuple[str, str], ...]
    operations: tuple[Label, ...]
    parts: tuple[Label, ...]
    stages: tuple[Label, ...]
    edges: tuple[float, ...]
    bottom: float
    marks: tuple[Mark, ...]


def draw_heatmap(rows: Sequence[ShadowRow], numbered: Sequence[ShadowRow]) -> Heatmap:
    """The heat map of some rows.

    Args:
        rows: in the order of the step.
        numbered: the rows of the table that explains it; the first is number 1.
    """
    modules = _forward_order(rows)
    column = {module: at for at, module in enumerate(modules)}
    step = min(_WIDEST, _WIDTH / max(1, len(modules)))
    lines, operations, parts, bottom = _lines(rows)
    worst: dict[tuple[str, float], ShadowRow] = {}
    for row in rows:
        key = row.module, lines[_line(row)]
        if key not in worst or row.excess > worst[key].excess:
            worst[key] = row
    cells: dict[str, list[str]] = {each.name: [] for each in CLASSES}
    for (module, y), row in worst.items():
        x = _LEFT + column[module] * step
        cells[_shade(row)].append(f"M{x:.1f} {y:.1f}h{step * 0.96:.2f}v{_ROW - 1.5}h-{step * 0.96:.2f}z")
    stages, edges = _stages(modules, step, bottom)
    return Heatmap(
        width=_LEFT + step * len(modules) + 30,
        height=bottom + _FOOT,
        cells=tuple((name, "".join(paths)) for name, paths in cells.items() if paths),
        operations=operations,
        parts=parts,
        stages=stages,
        edges=edges,
        bottom=bottom,
        marks=tuple(_marks(worst, column, step, numbered)),
    )


def stage_of(module: str) -> str:
    """The stage of the model that a module lies in: the first two names of its path."""
    return ".".join(module.split(".")[:2])


def _forward_order(rows: Iterable[ShadowRow]) -> list[str]:
    """The modules as they are first met, each stage in one stretch; what belongs to none of them last."""
    met = dict.fromkeys(row.module for row in rows)
    stages = {stage: at for at, stage in enumerate(dict.fromkeys(map(stage_of, met)))}
    return sorted(met, key=lambda module: (not module, stages[stage_of(module)]))


def _line(row: ShadowRow) -> tuple[Part, str]:
    return row.part, _MERGED.get(row.part) or family_of(row.op)


def _lines(
    rows: Iterable[ShadowRow],
) -> tuple[dict[tuple[Part, str], float], tuple[Label, ...], tuple[Label, ...], float]:
    """Where each line of cells lies, the labels of lines and of groups, and where they end."""
    met = sorted(dict.fromkeys(map(_line, rows)), key=lambda line: _ORDER.index(line[0]))
    lines: dict[tuple[Part, str], float] = {}
    parts: list[Label] = []
    y = _TOP
    for part, group in groupby(met, key=lambda line: line[0]):
        if part not in _MERGED:
            parts.append(Label(0, y + _ROW - 3.5, part.value))
            y += _ROW
        for line in group:
            lines[line] = y
            y += _ROW
        y += _GAP
    labels = tuple(Label(_LEFT - 8, y + _ROW - 3.5, _cut(name, _LONGEST_OPERATION)) for (_, name), y in lines.items())
    return lines, labels, tuple(parts), y - _GAP


def _shade(row: ShadowRow) -> str:
    """By the excess; a violation is never shaded as less than one, whatever its ratio rounds to."""
    excess = max(1.0, row.excess) if row.violated else min(max(0.0, row.excess), 1.0 - 1e-12)  # NaN is the smallest
    return next(each.name for each in reversed(CLASSES) if excess >= each.least)


def _stages(modules: Sequence[str], step: float, bottom: float) -> tuple[tuple[Label, ...], tuple[float, ...]]:
    """Labels under the stretches, the widest first where they would lie on each other, and the borders."""
    stretches, at = [], 0
    for stage, group in groupby(modules, key=stage_of):
        count = len(list(group))
        stretches.append((stage or "outside of modules", _LEFT + at * step, count * step))
        at += count
    placed: list[Label] = []
    for stage, x, width in sorted(stretches, key=lambda stretch: -stretch[2]):
        middle = x + width / 2
        if all(abs(label.x - middle) >= _APART for label in placed):
            placed.append(Label(round(middle, 1), round(bottom + 8, 1), _cut(stage, _LONGEST)))
    return tuple(sorted(placed, key=lambda label: label.x)), tuple(round(x, 1) for _, x, _ in stretches[1:])


def _cut(name: str, longest: int) -> str:
    """The end of a name that is too long: it tells more than the beginning."""
    return name if len(name) <= longest else "…" + name[1 - longest :]


def _marks(
    worst: dict[tuple[str, float], ShadowRow],
    column: dict[str, int],
    step: float,
    numbered: Sequence[ShadowRow],
) -> Iterable[Mark]:
    """A diamond for each violated cell, with the number of its row where no other diamond lies in its way."""
    numbers = {id(row): number for number, row in enumerate(numbered, 1)}
    violated = sorted(
        ((y, column[module], row) for (module, y), row in worst.items() if row.violated), key=lambda mark: mark[:2]
    )
    for at, (y, place, row) in enumerate(violated):
        number = numbers.get(id(row), 0)
        following = next((after for line, after, _ in violated[at + 1 : at + 2] if line == y), None)
        room = (following - place) * step if following is not None else math.inf
        yield Mark(
            x=round(_LEFT + (place + 0.48) * step, 1),
            y=round(y + (_ROW - 1.5) / 2, 1),
            number=number if room >= 14 + _CHARACTER * len(str(number)) else 0,
            text=f"{row.module or 'outside of modules'}, {row.op}",
        )
