"""A report on disk: pages, data and JUnit XML; each file whole or not there."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import quote

from harness.store.atomic import write_bytes, write_text
from harness.store.tables import render_trace
from harness.values.errors import UsageError
from harness.values.invocation import Invocation
from harness.values.result import Result
from harness.values.verdict import Status, Verdict
from reports.results.json_result import encode, read_result
from reports.results.junit import encode_junit
from reports.results.result_record import Record, record_of
from reports.run.folder_names import folder_names
from reports.run.index import Entry, render_index
from reports.run.page import render_case

__all__ = ["INDEX", "JUNIT", "PAGE", "Merged", "Report", "gather", "merge", "told", "write"]

RESULT, PAGE, TRACE, INDEX, JUNIT = "result.json", "report.html", "trace.csv", "index.html", "junit.xml"
REPRODUCE, OUTPUT = "reproduce", "output.log"


class Report:
    """The report of some cases, written as their results come: what is judged is kept, whatever becomes of the rest.

    ``out/<case>/`` gets ``report.html``, ``result.json`` and, where the run left a trace, ``trace.csv``; where shadow
    ops found something, ``reproduce/<n>.py`` with its inputs; where the run ended in an error, ``output.log``.
    ``out/`` gets ``junit.xml`` and ``index.html``, last, so that neither speaks of what isn't there; those of an
    earlier report go first. Nothing is written outside of ``out``, whatever a case is called.

    Of an invocation each case has a result from the start on, an ERROR that says that it was not run. So whatever ends
    a command before its end, no result of an earlier one stands in for what is missing.

    Args:
        out: a folder; made where it is missing. Files of an earlier report of the same cases are replaced.
        cases: the names of the results to come, in their order.
        invocation: that they belong to; None for results that are all there already.
        kept: numbers of the cases whose results of this invocation are there already.

    Raises:
        UsageError: there is no case, or ``out`` can't be written; the methods raise it too.
    """

    def __init__(
        self,
        out: Path,
        cases: Sequence[str],
        invocation: Invocation | None = None,
        *,
        kept: Collection[int] = (),
    ) -> None:
        if not cases:
            raise UsageError("there is nothing to report", observed="no result", allowed="one result or more")
        self._out = out
        self._folders = folder_names(cases)
        self._entries: dict[int, Entry] = {}
        with told(out):
            out.mkdir(parents=True, exist_ok=True)
            for name in (INDEX, JUNIT):
                (out / name).unlink(missing_ok=True)
            TemporaryFile(dir=out).close()  # what can't be written is told before a case is trained
            if invocation is not None:
                for number, (case, folder) in enumerate(zip(cases, self._folders, strict=True)):
                    if number not in kept:
                        _write_case(out / folder, _not_run(case, invocation))

    def place(self, number: int) -> Path:
        """Where the ``result.json`` of a case lies, by its number among the cases."""
        return self._out / self._folders[number] / RESULT

    def add(self, result: Result, number: int | None = None) -> Path:
        """Write the folder of a case.

        Args:
            result: of the case.
            number: its place among the cases; the next one's where None, as they come in their order.

        Returns:
            Its ``result.json``.
        """
        number = len(self._entries) if number is None else number
        folder = self._folders[number]
        with told(self._out):
            _write_case(self._out / folder, result)
        self._entries[number] = Entry(record_of(result), f"{quote(folder)}/{PAGE}")
        return self._out / folder / RESULT

    def finish(self, excused: Mapping[str, str] | None = None) -> Path:
        """Write the overview.

        Args:
            excused: case → why a gate doesn't depend on its verdict; it is then skipped in JUnit's XML.

        Returns:
            The page to open: the case's own where there is one case, else the index.
        """
        with told(self._out):
            _write_overview([self._entries[number] for number in sorted(self._entries)], self._out, excused)
        return self._out / self._folders[0] / PAGE if len(self._folders) == 1 else self._out / INDEX


def write(results: Sequence[Result], out: Path) -> Path:
    """Write the report of results that are all there.

    Args:
        results: one or more.
        out: as a ``Report``'s.

    Returns:
        The page to open.

    Raises:
        UsageError: there is no result, or ``out`` can't be written.
    """
    report = Report(out, [result.case for result in results])
    for result in results:
        report.add(result)
    return report.finish()


@dataclass(frozen=True, eq=False)
class Merged:
    """Results of many machines, in one index.

    Args:
        index: the page.
        records: what it holds, and an ERROR for each case that an invocation planned and that has no result.
    """

    index: Path
    records: tuple[Record, ...]


def merge(paths: Sequence[Path], out: Path) -> Merged:
    """Write one index, and one JUnit XML, of results that were judged elsewhere.

    Args:
        paths: of ``result.json`` files, or of folders: each result that lies below one is taken.
        out: the folder that gets ``index.html`` and ``junit.xml``; rows link to the pages beside the results.

    Returns:
        The index, and what it holds. A case that an invocation planned and that has no result beside the others of the
        invocation is an ERROR in it.

    Raises:
        ResultError: a result is missing, half-written, too large or contradicts itself: none is left out silently.
        UsageError: there is no result among the paths, or ``out`` can't be written.
    """
    found, missing = gather(paths)
    entries = [Entry(record, _link(file, out)) for file, record in found]
    entries += [Entry(record, "") for record in missing]
    with told(out):
        _write_overview(entries, out)
    return Merged(out / INDEX, tuple(entry.record for entry in entries))


def gather(paths: Sequence[Path]) -> tuple[list[tuple[Path, Record]], list[Record]]:
    """The results among some paths, each with its file, and an ERROR for each that was planned and isn't there.

    Args:
        paths: as ``merge`` takes them.

    Raises:
        ResultError: as ``merge`` does.
        UsageError: there is no result among the paths.
    """
    files = [file for path in paths for file in (sorted(path.rglob(RESULT)) if path.is_dir() else [path])]
    if not files:
        raise UsageError(
            "there is no result to merge",
            observed=", ".join(map(str, paths)) or "no path",
            allowed=f"{RESULT} files, or folders that hold some",
            hint="align verify --out DIR",
        )
    files = list(dict.fromkeys(file.absolute() for file in files))
    found = [(file, read_result(file)) for file in files]
    return found, _missing(files, [record for _, record in found])


def _missing(files: Sequence[Path], records: Sequence[Record]) -> list[Record]:
    """An ERROR for each planned case without a result, where the invocation's results lie as they were written."""
    missing: dict[tuple[str, Path], Record] = {}
    for file, record in zip(files, records, strict=True):
        invocation = record.invocation
        if invocation is None:
            continue
        folders = dict(zip(folder_names(invocation.cases), invocation.cases, strict=True))
        if folders.get(file.parent.name) != record.verdict.case:
            continue  # it was copied to another place: what lies there says nothing of the others
        for folder, case in folders.items():
            place = file.parent.parent / folder / RESULT
            if not place.exists():
                missing[invocation.id, place] = record_of(_not_run(case, invocation))
    return list(missing.values())


def _not_run(case: str, invocation: Invocation) -> Result:
    reason = f"not run: the command that began {invocation.started} has ended before it, or is still on its way to it"
    return Result(Verdict(case, Status.ERROR, reason), command=invocation.command, invocation=invocation)


def _write_case(folder: Path, result: Result) -> None:
    if result.trace is not None:
        write_text(folder / TRACE, render_trace(result.trace))
    else:
        (folder / TRACE).unlink(missing_ok=True)  # an earlier run's would pass for this one's
    if result.log:
        write_bytes(folder / OUTPUT, result.log)
    else:
        (folder / OUTPUT).unlink(missing_ok=True)
    _write_reproductions(folder / REPRODUCE, result)
    write_text(folder / PAGE, render_case(result))
    write_text(folder / RESULT, encode(record_of(result)))


def _write_reproductions(folder: Path, result: Result) -> None:
    """Each call that came out wrong as a program with its inputs; an earlier report's would pass for this one's."""
    for pattern in ("[0-9]*.py", "[0-9]*.safetensors"):
        for leftover in folder.glob(pattern):
            leftover.unlink()
    for found in result.reproductions:
        if found.program:
            write_bytes(folder / f"{found.number}.safetensors", found.inputs)
            write_text(folder / f"{found.number}.py", found.program)


def _write_overview(entries: Sequence[Entry], out: Path, excused: Mapping[str, str] | None = None) -> None:
    write_text(out / JUNIT, encode_junit([entry.record for entry in entries], excused))
    write_text(out / INDEX, render_index(entries))


def _link(file: Path, out: Path) -> str:
    page = file.parent / PAGE
    if not page.is_file():
        return ""
    try:
        away = os.path.relpath(page.resolve(), out.resolve())
    except ValueError:  # Windows: another drive
        return ""
    return quote(Path(away).as_posix(), errors="surrogateescape")


@contextmanager
def told(out: Path) -> Iterator[None]:
    """What the system refuses, as an error of ours."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            "the report can't be written",
            where=error.filename or out,
            observed=error.strerror or str(error),
            hint="--out with a folder that can be written",
        ) from error
