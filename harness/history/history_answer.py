"""What a history says: the table, what is broken since when and by what change, drift, flaky cases, blind cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.history.drift import FALSE_ALARM_RATE, WINDOW, Drift, find_drifts
from harness.history.history_database import History
from harness.history.timeline import (
    Broken,
    Build,
    Flaky,
    Series,
    Timeline,
    broken_since,
    build_table,
    flaky_of,
    table_changes,
    timeline_of,
)

__all__ = ["Answer", "Blind", "Breakage", "SeriesDrift", "answer"]

_COVERAGE_KEPT = 0.5
"""Share of the earlier coverage below which shadow ops see less than they did."""

_DETECTABLE_GROWN = 10.0
"""How many times larger the smallest deviation that is called may get before a case counts as blinder."""


@dataclass(frozen=True, eq=False)
class Breakage:
    """A case that doesn't pass, with what explains it.

    Args:
        broken: since when.
        reason: the verdict's sentence on its latest build.
        source: where that result lies.
        changes: what differs between the last good build and the first bad one: name, before, after.
        likewise: other cases that the same build broke with the same cause.
    """

    broken: Broken
    reason: str
    source: str
    changes: tuple[tuple[str, str, str], ...]
    likewise: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SeriesDrift:
    """A number of a case that moves one way.

    Args:
        series: the case.
        measure: what of it.
        drift: how.
    """

    series: Series
    measure: str
    drift: Drift


@dataclass(frozen=True, eq=False)
class Blind:
    """A case that sees less on its latest build than it did.

    Args:
        series: the case.
        since: the build from which on it does.
        what: each loss of sight, a sentence.
    """

    series: Series
    since: Build
    what: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a history says.

    Args:
        timeline: all results in order.
        breakages: cases that don't pass, by device and case.
        flaky: cases whose verdicts don't follow from the build.
        drifts: numbers that move while their cases pass, the least likely first.
        tested: how many series were tested for drift.
        rate: the chance that a healthy history shows any drift.
        blind: cases that see less than they did.
        absent: cases that the latest builds of their device don't have any more: the case and how many builds ago it
            was judged last.
    """

    timeline: Timeline
    breakages: tuple[Breakage, ...]
    flaky: tuple[Flaky, ...]
    drifts: tuple[SeriesDrift, ...]
    tested: int
    rate: float
    blind: tuple[Blind, ...]
    absent: tuple[tuple[Series, int], ...]


def answer(history: History, *, window: int = WINDOW, rate: float = FALSE_ALARM_RATE) -> Answer:
    """What a history says.

    Args:
        history: the database.
        window: how many of a device's latest builds are looked at for drift and sight.
        rate: chance that a healthy history shows any drift.
    """
    timeline = timeline_of(history.builds(), history.results())
    broken = _broken(timeline, history)
    drifts, tested = _drifts(timeline, history, window, rate)
    return Answer(
        timeline,
        _breakages(broken, history),
        tuple(flaky for series in timeline.series if (flaky := flaky_of(series)) is not None),
        drifts,
        tested,
        rate,
        _blind(timeline, history, window),
        tuple((series, missed) for series in timeline.series if (missed := _missed(series, timeline))),
    )


def _broken(timeline: Timeline, history: History) -> list[Broken]:
    found = [broken for series in timeline.series if (broken := broken_since(series)) is not None]
    bad = [cell.worst.id for one in found for cell in one.series.cells if cell.build.place >= one.first_bad.build.place]
    causes = history.details("causes", bad)
    return [whole for one in found if (whole := broken_since(one.series, causes)) is not None]


def _breakages(broken: Sequence[Broken], history: History) -> tuple[Breakage, ...]:
    latest = {one: one.series.cells[-1].worst.id for one in broken}
    compared = [cell.worst.id for one in broken for cell in (one.first_bad, one.last_good) if cell is not None]
    reasons = history.details("reason", list(latest.values()))
    sources = history.details("source", list(latest.values()))
    surroundings = history.details("surroundings", compared)
    together: dict[tuple[int, str], list[str]] = defaultdict(list)
    for one in broken:
        together[one.first_bad.build.id, one.cause].append(one.series.case)
    return tuple(
        Breakage(
            one,
            reasons[latest[one]],
            sources[latest[one]],
            _changes(one, surroundings),
            tuple(case for case in together[one.first_bad.build.id, one.cause] if case != one.series.case),
        )
        for one in broken
    )


def _changes(broken: Broken, surroundings: Mapping[int, Mapping[str, str]]) -> tuple[tuple[str, str, str], ...]:
    if broken.last_good is None or not broken.first_bad.build.table:
        return ()
    before, after = (
        {**build_table(cell.build), **surroundings[cell.worst.id]} for cell in (broken.last_good, broken.first_bad)
    )
    return table_changes(before, after)


def _recent(series: Series, timeline: Timeline, window: int) -> list[int]:
    """The ids of the passing results on a device's latest builds, of a case that passes on its own latest."""
    if series.cells[-1].status != "PASS":
        return []
    first = len(timeline.builds[series.device]) - window
    return [
        result.id
        for cell in series.cells
        if cell.build.place >= first
        for result in cell.results
        if result.status == "PASS"
    ]


def _drifts(timeline: Timeline, history: History, window: int, rate: float) -> tuple[tuple[SeriesDrift, ...], int]:
    ids = [each for series in timeline.series for each in _recent(series, timeline, window)]
    measures = history.details("measures", ids)
    of: dict[str, tuple[Series, str]] = {}
    points: dict[str, list[tuple[int, float]]] = {}
    for series in timeline.series:
        recent = set(_recent(series, timeline, window))
        for cell in series.cells:
            found: dict[str, list[float]] = defaultdict(list)
            for result in cell.results:
                if result.id in recent:
                    for name, value in measures[result.id].items():
                        found[name].append(value)
            for name, values in found.items():
                key = f"{series.device}\0{series.case}\0{name}"
                of[key] = (series, name)
                points.setdefault(key, []).append((cell.build.place, median(values)))
    drifts, tested = find_drifts(points, rate)
    return tuple(SeriesDrift(*of[drift.name], drift) for drift in drifts), tested


def _missed(series: Series, timeline: Timeline) -> int:
    """Builds of its device since a case was judged last."""
    return len(timeline.builds[series.device]) - 1 - series.cells[-1].build.place


def _blind(timeline: Timeline, history: History, window: int) -> tuple[Blind, ...]:
    """Cases whose latest result sees less than the best of the builds before, and since which build."""
    chosen = {
        series: [cell for cell in series.cells if cell.build.place >= len(timeline.builds[series.device]) - window]
        for series in timeline.series
    }
    ids = [cell.results[-1].id for cells in chosen.values() for cell in cells]
    sights, left_out = history.details("sight", ids), history.details("left_out", ids)
    causes = history.details("cause", ids)
    found = []
    for series, cells in chosen.items():
        best: dict[str, float] = {}
        asked_all = False
        blind_since: Build | None = None
        what: tuple[str, ...] = ()
        for cell in cells:
            if cell.results[-1].status not in {"PASS", "INCONCLUSIVE"}:
                continue  # a run that was stopped or crashed saw enough, or says itself that it saw nothing
            at = cell.results[-1].id
            sight = sights[at]
            now = [*_losses(sight, best), *_decided_nothing(causes[at])]
            now += [f"left out: {', '.join(left_out[at])}"] if left_out[at] and asked_all else []
            blind_since = (blind_since or cell.build) if now else None
            what = tuple(now)
            asked_all = asked_all or not left_out[at]
            if cell.results[-1].status == "PASS":
                best = _better(best, sight)
        judged = cells and cells[-1].results[-1].status in {"PASS", "INCONCLUSIVE"}
        if blind_since is not None and judged and cells[0].build != blind_since:
            found.append(Blind(series, blind_since, what))
    return tuple(found)


def _better(best: Mapping[str, float], sight: Mapping[str, float]) -> dict[str, float]:
    merged = {**best}
    for name, value in sight.items():
        choose = min if name == "detectable" else max
        merged[name] = choose(merged.get(name, value), value)
    return merged


def _losses(sight: Mapping[str, float], best: Mapping[str, float]) -> list[str]:
    """What a result sees less of than the best before it."""
    lost = []
    if "shadow" in best and sight.get("shadow", 0.0) < _COVERAGE_KEPT * best["shadow"]:
        now = f"{100 * sight['shadow']:.0f} %" if "shadow" in sight else "none"
        lost.append(f"shadow ops check {now} of the calls; they checked {100 * best['shadow']:.0f} %")
    if "detectable" in best and sight.get("detectable", 0.0) > _DETECTABLE_GROWN * best["detectable"]:
        lost.append(
            f"the smallest deviation of the loss that is called grew from {100 * best['detectable']:.2g} % to "
            f"{100 * sight['detectable']:.2g} %"
        )
    for name, words in (("iterations", "iterations"), ("runs", "healthy runs of the reference")):
        if name in best and name in sight and sight[name] < _COVERAGE_KEPT * best[name]:
            lost.append(f"{sight[name]:.0f} {words}; it had {best[name]:.0f}")
    return lost


def _decided_nothing(cause: str) -> list[str]:
    return [f"decides nothing: {cause}"] if cause.startswith("sight:") else []
