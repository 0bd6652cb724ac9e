"""Results in the order of their builds: what is broken since when, what is flaky, what changed in between."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

from harness.history.history_database import StoredBuild, StoredResult

__all__ = [
    "Broken",
    "Build",
    "Cell",
    "Flaky",
    "Series",
    "Timeline",
    "broken_since",
    "build_table",
    "flaky_of",
    "past_stretches",
    "table_changes",
    "timeline_of",
]

_SEVERITY = {"PASS": 0, "INCONCLUSIVE": 1, "FAIL": 2, "ERROR": 3}

_ALTERNATIONS = 4
"""Changes between passing and not, over the builds, from which on a case is said to alternate."""


@dataclass(frozen=True, eq=False)
class Build:
    """A build in its place.

    Args:
        id: in the database; negative for an invocation whose runs all ended before they said what they ran on.
        place: among the builds of its device, from 0, by its first result.
        device: label.
        name: the card's; empty where unknown.
        first: when its first result was begun, UTC.
        commit: of the code under test.
        label: what its makers call it; empty where nobody said.
        table: of versions; empty where unknown.
    """

    id: int
    place: int
    device: str
    name: str
    first: str
    commit: str
    label: str
    table: Mapping[str, str]

    @property
    def title(self) -> str:
        """Its label; without one when it was first seen, and its commit."""
        commit = self.commit[:8] or "no commit"
        return self.label or (f"{self.first[:16].replace('T', ' ')} {commit}" if self.table else
                              f"{self.first[:16].replace('T', ' ')} unknown build")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cell:
    """The results of one case on one build.

    Args:
        build: the build.
        results: one or more, the earliest first.
    """

    build: Build
    results: tuple[StoredResult, ...]

    @property
    def status(self) -> str:
        """The worst of its verdicts: a build is good where every result on it passed."""
        if len(self.results) == 1:  # as almost all of a hundred thousand
            return self.results[0].status
        return max((result.status for result in self.results), key=_severity)

    @property
    def mixed(self) -> bool:
        """Whether its results disagree."""
        return len(self.results) > 1 and len({result.status for result in self.results}) > 1

    @property
    def worst(self) -> StoredResult:
        """The result that its status comes from."""
        return self.results[0] if len(self.results) == 1 else max(self.results, key=_severity_of)


@dataclass(frozen=True, eq=False)
class Series:
    """A case on a device, build by build.

    Args:
        case: name.
        device: label.
        cells: of the builds that it was judged on, in their order.
    """

    case: str
    device: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, eq=False)
class Timeline:
    """All results in order.

    Args:
        builds: device → its builds, the earliest first.
        series: by device and case.
    """

    builds: Mapping[str, tuple[Build, ...]]
    series: tuple[Series, ...]


@dataclass(frozen=True, eq=False)
class Broken:
    """A case that doesn't pass on its latest build.

    Args:
        series: the case.
        first_bad: the first build of the builds in a row that it doesn't pass on.
        last_good: the build before, on which it passed; None where it never did.
        untested: builds of the device between the two that it wasn't judged on.
        status: on its latest build.
        cause: on its latest build.
        causes: each cause since, with the build that it was first seen on.
    """

    series: Series
    first_bad: Cell
    last_good: Cell | None
    untested: int
    status: str
    cause: str
    causes: tuple[tuple[str, Build], ...]

    @property
    def builds(self) -> int:
        """On how many builds in a row it was judged and didn't pass."""
        return sum(cell.build.place >= self.first_bad.build.place for cell in self.series.cells)


@dataclass(frozen=True, eq=False)
class Flaky:
    """A case whose verdict doesn't follow from the build.

    Args:
        series: the case.
        mixed: builds on which its results disagree, each with how often which verdict.
        alternations: changes between passing and not, over its builds.
    """

    series: Series
    mixed: tuple[tuple[Build, Mapping[str, int]], ...]
    alternations: int


def timeline_of(builds: Iterable[StoredBuild], results: Iterable[StoredResult]) -> Timeline:
    """Results in the order of their builds, which is that of each build's first result.

    A result of no known build counts for the one that its invocation ran on; where none of it said, for one of its own.
    """
    stored = {build.id: build for build in builds}
    ordered = sorted(results, key=attrgetter("started", "id"))
    told: dict[tuple[str, str], int] = {}
    if any(result.build is None for result in ordered):
        told = {_run(one): one.build for one in ordered if one.build is not None and one.invocation}
    first: dict[int, str] = {}
    unknown: dict[str, int] = {}
    device_of: dict[int, str] = {}
    cells: dict[tuple[str, str], dict[int, list[StoredResult]]] = defaultdict(lambda: defaultdict(list))
    for result in ordered:
        number = result.build
        if number is None:
            number = told.get(_run(result))
        if number is None:
            number = unknown.setdefault(f"{result.invocation} {result.device}", -len(unknown) - 1)
        device = stored[number].device if number >= 0 else result.device or "unknown device"
        device_of.setdefault(number, device)
        first.setdefault(number, result.started)
        cells[device, result.case][number].append(result)
    placed: dict[str, list[Build]] = defaultdict(list)
    by_id = {}
    for number, started in first.items():  # in the order of their first results
        device = device_of[number]
        known = stored.get(number) or StoredBuild(number, device, "", {}, "", "")
        build = Build(number, len(placed[device]), device, known.name, started, known.commit, known.label, known.table)
        placed[device].append(build)
        by_id[number] = build
    series = []
    for (device, case), found in sorted(cells.items()):
        ordered_cells = sorted(((by_id[number], tuple(rows)) for number, rows in found.items()), key=_place)
        series.append(Series(case, device, tuple(Cell(build, rows) for build, rows in ordered_cells)))
    return Timeline({device: tuple(found) for device, found in sorted(placed.items())}, tuple(series))


def _run(result: StoredResult) -> tuple[str, str]:
    """What ran on one build: a call of a command, on one kind of device."""
    return result.invocation, result.device.partition(",")[0]


def _place(cell: tuple[Build, tuple[StoredResult, ...]]) -> int:
    return cell[0].place


def broken_since(series: Series, all_causes: Mapping[int, Sequence[str]] | None = None) -> Broken | None:
    """Since which build a case doesn't pass; None where it passes on its latest.

    Args:
        series: the case.
        all_causes: id of a result → all of its causes; the first one of each alone without it.
    """
    if series.cells[-1].status == "PASS":
        return None
    start = len(series.cells)
    while start and series.cells[start - 1].status != "PASS":
        start -= 1
    bad = series.cells[start:]
    last_good = series.cells[start - 1] if start else None
    causes: dict[str, Build] = {}
    for cell in bad:
        found = (all_causes or {}).get(cell.worst.id) or [cell.worst.cause]
        for cause in found:
            causes.setdefault(cause, cell.build)
    latest = bad[-1].worst
    untested = bad[0].build.place - last_good.build.place - 1 if last_good is not None else 0
    return Broken(series, bad[0], last_good, untested, latest.status, latest.cause, tuple(causes.items()))


def past_stretches(series: Series) -> list[tuple[Build, Build]]:
    """The times that a case didn't pass and passes again: first and last build of each."""
    stretches, start = [], None
    for before, cell in zip((None, *series.cells), (*series.cells, None), strict=True):
        bad = cell is not None and cell.status != "PASS"
        if bad and start is None:
            start = cell
        elif not bad and start is not None:
            if cell is not None and before is not None:
                stretches.append((start.build, before.build))
            start = None
    return stretches


def flaky_of(series: Series) -> Flaky | None:
    """Whether a case's verdicts disagree on one build, or alternate from build to build; None where they don't."""
    mixed = tuple(
        (cell.build, dict(Counter(result.status for result in cell.results))) for cell in series.cells if cell.mixed
    )
    passes = [cell.status == "PASS" for cell in series.cells]
    alternations = sum(one != other for one, other in pairwise(passes))
    if not mixed and alternations < _ALTERNATIONS:
        return None
    return Flaky(series, mixed, alternations)


def table_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """What differs between two tables: name, before, after; ``—`` where one lacks it."""
    names = sorted({*before, *after})
    return tuple(
        (name, before.get(name, "—"), after.get(name, "—")) for name in names if before.get(name) != after.get(name)
    )


def build_table(build: Build) -> dict[str, str]:
    """A build's table with what else it is known by."""
    commit = {"commit": build.commit} if build.commit else {}
    return {**({"card": build.name} if build.name else {}), **commit, **build.table}


def _severity_of(result: StoredResult) -> int:
    return _severity(result.status)


def _severity(status: str) -> int:
    return _SEVERITY.get(status, len(_SEVERITY))
