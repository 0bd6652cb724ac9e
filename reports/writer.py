"""A report on disk: pages, data and JUnit XML; each file whole or not there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from harness.store.atomic import write_bytes, write_text
from harness.store.tables import render_trace
from harness.values.errors import UsageError
from harness.values.result import Result
from reports.index import Entry, render_index
from reports.json_result import encode, read_result
from reports.junit import encode_junit
from reports.names import folder_names
from reports.page import render_case
from reports.record import record_of

__all__ = ["merge", "write"]

RESULT, PAGE, TRACE, INDEX, JUNIT = "result.json", "report.html", "trace.csv", "index.html", "junit.xml"
REPRODUCE = "reproduce"


def write(results: Sequence[Result], out: Path) -> Path:
    """Write the report of some cases.

    ``out/<case>/`` gets ``report.html``, ``result.json`` and, where the run left a trace, ``trace.csv``; where shadow
    ops found something, ``reproduce/<n>.py`` with its inputs. ``out/`` gets ``junit.xml`` and ``index.html``, last, so
    that neither speaks of what isn't there. Nothing is written outside of ``out``, whatever a case is called.

    Args:
        results: one or more.
        out: a folder; made where it is missing. Files of an earlier report of the same cases are replaced.

    Returns:
        The page to open: the case's own where there is one case, else the index.

    Raises:
        UsageError: there is no result, or ``out`` can't be written.
    """
    if not results:
        raise UsageError("there is nothing to report", observed="no result", allowed="one result or more")
    folders = folder_names(result.case for result in results)
    try:
        for result, folder in zip(results, folders, strict=True):
            _write_case(out / folder, result)
        _write_overview([Entry(record_of(r), f"{quote(f)}/{PAGE}") for r, f in zip(results, folders, strict=True)], out)
    except OSError as error:
        raise _unwritable(out, error) from error
    return out / folders[0] / PAGE if len(results) == 1 else out / INDEX


def merge(paths: Sequence[Path], out: Path) -> Path:
    """Write one index, and one JUnit XML, of results that were judged elsewhere.

    Args:
        paths: of ``result.json`` files, or of folders: each result that lies below one is taken.
        out: the folder that gets ``index.html`` and ``junit.xml``; rows link to the pages beside the results.

    Returns:
        The index.

    Raises:
        ResultError: a result is missing, half-written, too large or contradicts itself: none is left out silently.
        UsageError: there is no result among the paths, or ``out`` can't be written.
    """
    files = [file for path in paths for file in (sorted(path.rglob(RESULT)) if path.is_dir() else [path])]
    if not files:
        raise UsageError(
            "there is no result to merge",
            observed=", ".join(map(str, paths)) or "no path",
            allowed=f"{RESULT} files, or folders that hold some",
            hint="align verify --out DIR",
        )
    entries = [Entry(read_result(file), _link(file, out)) for file in files]
    try:
        _write_overview(entries, out)
    except OSError as error:
        raise _unwritable(out, error) from error
    return out / INDEX


def _write_case(folder: Path, result: Result) -> None:
    if result.trace is not None:
        write_text(folder / TRACE, render_trace(result.trace))
    else:
        (folder / TRACE).unlink(missing_ok=True)  # an earlier run's would pass for this one's
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


def _write_overview(entries: Sequence[Entry], out: Path) -> None:
    write_text(out / JUNIT, encode_junit([entry.record for entry in entries]))
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


def _unwritable(out: Path, error: OSError) -> UsageError:
    return UsageError(
        "the report can't be written",
        where=error.filename or out,
        observed=error.strerror or str(error),
        hint="--out with a folder that can be written",
    )
