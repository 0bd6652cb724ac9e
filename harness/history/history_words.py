"""What a history says, in sentences: the same on a page and in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.history.history_answer import Answer, Breakage, SeriesDrift
from harness.history.timeline import Flaky

__all__ = [
    "Broke",
    "DeviceSummary",
    "breakage_lines",
    "broke_together",
    "drift_line",
    "flaky_line",
    "summaries",
    "tested_line",
]

_CHANGES_TOLD = 6


@dataclass(frozen=True)
class DeviceSummary:
    """How a device's latest build stands.

    Args:
        device: label.
        builds: how many there are.
        cases: how many its latest build was judged on.
        counts: verdict → how many of these cases.
        latest: the latest build's title.
    """

    device: str
    builds: int
    cases: int
    counts: Mapping[str, int]
    latest: str


@dataclass(frozen=True, eq=False)
class Broke:
    """The cases that one build broke by one cause.

    Args:
        first: the one that is told in full.
        cases: all of them, that one first.
    """

    first: Breakage
    cases: tuple[str, ...]


def broke_together(answer: Answer) -> list[Broke]:
    """The breakages by device, build and cause; what broke most cases comes first."""
    found: dict[tuple[str, int, str, str], list[Breakage]] = {}
    for one in answer.breakages:
        broken = one.broken
        key = (broken.series.device, broken.first_bad.build.id, broken.cause, broken.status)
        found.setdefault(key, []).append(one)
    together = [Broke(ones[0], tuple(one.broken.series.case for one in ones)) for ones in found.values()]
    return sorted(together, key=lambda broke: -len(broke.cases))


def summaries(answer: Answer) -> list[DeviceSummary]:
    """How the latest build of each device stands."""
    found = []
    for device, builds in answer.timeline.builds.items():
        latest = builds[-1]
        statuses = [
            series.cells[-1].status
            for series in answer.timeline.series
            if series.device == device and series.cells[-1].build == latest
        ]
        counts = {status: statuses.count(status) for status in ("PASS", "FAIL", "INCONCLUSIVE", "ERROR")}
        found.append(DeviceSummary(device, len(builds), len(statuses), counts, latest.title))
    return found


def breakage_lines(breakage: Breakage) -> list[str]:
    """Since when, by which cause, and what changed."""
    broken = breakage.broken
    first, good = broken.first_bad.build, broken.last_good
    number = f"{broken.builds} {'build' if broken.builds == 1 else 'builds'}"
    lines = [f"since {first.title} ({number}); {_before(breakage)}"]
    lines.append(f"cause: {broken.cause}")
    lines += [f"also: {cause}, since {build.title}" for cause, build in broken.causes if cause != broken.cause][:3]
    if good is not None:
        lines.append(f"changed: {_changes(breakage)}")
    return lines


def _before(breakage: Breakage) -> str:
    good, untested = breakage.broken.last_good, breakage.broken.untested
    if good is None:
        return "it never passed before"
    gap = f", {untested} in between {'was' if untested == 1 else 'were'} not judged" if untested else ""
    return f"last good {good.build.title}{gap}"


def _changes(breakage: Breakage) -> str:
    if not breakage.broken.first_bad.build.table:
        return "unknown: the run ended before it said what it ran on"
    if not breakage.changes:
        return "nothing that is recorded"
    told = [f"{name} {before} → {after}" for name, before, after in breakage.changes[:_CHANGES_TOLD]]
    more = len(breakage.changes) - _CHANGES_TOLD
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")


def flaky_line(flaky: Flaky) -> str:
    """On which builds a case's verdicts disagree."""
    parts = []
    if flaky.mixed:
        build, counts = flaky.mixed[-1]
        said = ", ".join(f"{count} × {status}" for status, count in sorted(counts.items()))
        more = f", and on {len(flaky.mixed) - 1} earlier ones" if len(flaky.mixed) > 1 else ""
        parts.append(f"verdicts disagree on {build.title} ({said}){more}")
    if flaky.alternations > 1:
        parts.append(f"{flaky.alternations} changes between passing and not, on {len(flaky.series.cells)} builds")
    return "; ".join(parts)


def drift_line(drift: SeriesDrift) -> str:
    """How a number moved."""
    moved = drift.drift
    way = "rises" if moved.slope > 0 else "falls"
    return (
        f"{drift.measure} {way} from {moved.first:.4g} to {moved.last:.4g} over {len(moved.values)} builds "
        f"({moved.slope:+.2g} a build, p = {moved.p:.1e}), while the case passes"
    )


def tested_line(answer: Answer) -> str:
    """What the trend test promises."""
    return (
        f"{answer.tested} series tested for drift (Mann–Kendall); a healthy history shows any with a chance of at most "
        f"{100 * answer.rate:g} %"
    )
