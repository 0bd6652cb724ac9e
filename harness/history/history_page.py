"""The page of a history: one HTML file without network or script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from harness.history.history_answer import Answer
from harness.history.history_words import (
    DeviceSummary,
    breakage_lines,
    broke_together,
    drift_line,
    flaky_line,
    summaries,
    tested_line,
)
from harness.history.timeline import Build, Cell, build_table, table_changes
from harness.language import say
from reports.run.environment import render

__all__ = ["render_history"]

_MARKS = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?", "ERROR": "!"}


@dataclass(frozen=True)
class Mark:
    """A cell of the table: a sign, how it is coloured, and what it says in words."""

    sign: str
    tone: str
    words: str


@dataclass(frozen=True)
class TableRow:
    """A case's row: the latest build is the first cell."""

    case: str
    cells: tuple[Mark, ...]


@dataclass(frozen=True)
class BuildLine:
    """A build in the list of builds: its number, title, and what changed from the one before."""

    number: int
    title: str
    first: str
    changes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class DeviceTable:
    """The table of one device."""

    summary: DeviceSummary
    numbers: tuple[int, ...]
    rows: tuple[TableRow, ...]
    builds: tuple[BuildLine, ...]
    left_out: int


def render_history(answer: Answer, *, shown: str, made: str, last: int) -> str:
    """The page.

    Args:
        answer: what the history says.
        shown: the database, without its password.
        made: when the page was made, UTC.
        last: how many of the latest builds the table shows.
    """
    return render(
        "history.html.j2",
        title=say("History of builds"),
        script_source="",
        shown=shown,
        made=made,
        devices=[_device(answer, summary, last) for summary in summaries(answer)],
        breakages=[
            {
                "cases": broke.cases,
                "device": broke.first.broken.series.device,
                "status": broke.first.broken.status,
                "tone": broke.first.broken.status.lower(),
                "reason": broke.first.reason,
                "lines": breakage_lines(broke.first),
                "changes": broke.first.changes,
                "source": broke.first.source,
            }
            for broke in broke_together(answer)
        ],
        flaky=[(one.series.case, one.series.device, flaky_line(one)) for one in answer.flaky],
        drifts=[
            (one.series.case, one.series.device, drift_line(one), _drawn(one.drift.builds, one.drift.values))
            for one in answer.drifts
        ],
        tested=tested_line(answer),
        blind=[(one.series.case, one.series.device, one.since.title, one.what) for one in answer.blind],
        absent=[(series.case, series.device, missed) for series, missed in answer.absent],
    )


def _device(answer: Answer, summary: DeviceSummary, last: int) -> DeviceTable:
    builds = answer.timeline.builds[summary.device]
    chosen = builds[-last:]
    rows = []
    for series in answer.timeline.series:
        if series.device == summary.device:
            cells = {cell.build.place: cell for cell in series.cells}
            marks = tuple(_mark(cells.get(build.place), build) for build in chosen[::-1])
            rows.append(TableRow(series.case, marks))
    before: Sequence[Build | None] = (builds[-last - 1] if len(builds) > last else None, *chosen)
    lines = tuple(_line(old, new) for old, new in zip(before, chosen, strict=False))
    numbers = tuple(build.place + 1 for build in chosen[::-1])
    return DeviceTable(summary, numbers, tuple(rows), lines[::-1], len(builds) - len(chosen))


def _line(before: Build | None, build: Build) -> BuildLine:
    known = before is not None and before.table and build.table
    changes = table_changes(build_table(before), build_table(build)) if known and before is not None else ()
    return BuildLine(build.place + 1, build.title, build.first, changes)


def _mark(cell: Cell | None, build: Build) -> Mark:
    if cell is None:
        return Mark("·", "info", f"not judged on {build.title}")
    mixed = " (its results disagree)" if cell.mixed else ""
    return Mark(
        _MARKS.get(cell.status, "!") + ("~" if cell.mixed else ""),
        cell.status.lower(),
        f"{cell.status}{mixed} on {build.title}",
    )


def _drawn(builds: Sequence[int], values: Sequence[float]) -> Markup:
    """A line of the values over the builds."""
    x, y = np.array(builds, float), np.array(values)
    across = 4 + 232 * (x - x[0]) / max(x[-1] - x[0], 1)
    room = float(y.max() - y.min()) or 1.0
    down = 44 - 40 * (y - y.min()) / room
    points = " ".join(f"{a:.1f},{d:.1f}" for a, d in zip(across, down, strict=True))
    return Markup(  # noqa: S704  # numbers only
        '<svg class="spark trend" viewBox="0 0 240 48" aria-hidden="true" fill="none">'
        f'<polyline points="{points}" stroke="var(--candidate)" stroke-width="1.5"/></svg>'
    )
