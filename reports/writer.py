"""A report on disk: pages, data and JUnit XML; each file whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from harness.values.errors import UsageError
from harness.values.result import Result
from reports.index import Entry, render_index
from reports.json_result import encode, read_result
from reports.junit import encode_junit
from reports.names import folder_names
from reports.page import render_case
from reports.record import record_of
from reports.trace_csv import encode_trace

__all__ = ["merge", "write"]

RESULT, PAGE, TRACE, INDEX, JUNIT = "result.json", "report.html", "trace.csv", "index.html", "junit.xml"


def write(results: Sequence[Result], out: Path) -> Path:
    """Write the report of some cases.

    ``out/<case>/`` gets ``report.html``, ``result.json`` and, where the run left a trace, ``trace.csv``; ``out/`` gets
    ``index.html`` and ``junit.xml``, last, so that neither speaks of what isn't there. Nothing is written outside of
    ``out``, whatever a case is called.

    Args:
        results: one or more.
        out: a folder; made where it is missing. Files of an earlier report of the same cases are replaced.

    Returns:
        The page to open: of the case where there is one, else the index.

    Raises:
        UsageError: there is no result, or ``out`` can't be written.
    """
    if not results:
        raise UsageError("there is nothing to report", observed="no result", allowed="one result or more")
    folders = folder_names(result.case for result in results)
    records = [record_of(result) for result in results]
    entries = [Entry(record, f"{quote(name)}/{PAGE}") for record, name in zip(records, folders, strict=True)]
    try:
        for result, record, name in zip(results, records, folders, strict=True):
            _write_case(out / name, result, encode(record))
        _put(out / JUNIT, encode_junit(records))
        _put(out / INDEX, render_index(entries).encode("utf-8"))
    except OSError as error:
        raise _unwritable(out, error) from error
    return out / folders[0] / PAGE if len(results) == 1 else out / INDEX


def merge(paths: Sequence[Path], out: Path) -> Path:
    """Write one index, and one JUnit XML, of results that were judged elsewhere.

    Args:
        paths: of ``result.json`` files, or of folders: each that lies below one is taken.
        out: the folder that gets ``index.html`` and ``junit.xml``; rows link to the pages beside the results.

    Returns:
        The index.

    Raises:
        ResultError: a result is missing, half-written, oversized or contradicts itself: none is left out silently.
        UsageError: there is no result among the paths, or ``out`` can't be written.
    """
    files = [file for path in paths for file in _results_at(path)]
    if not files:
        raise UsageError(
            "there is no result to merge",
            observed=", ".join(map(str, paths)) or "no path",
            allowed=f"{RESULT} files, or folders that hold some",
            hint="align verify --out DIR",
        )
    records = [read_result(file) for file in files]
    entries = [Entry(record, _link(file, out)) for record, file in zip(records, files, strict=True)]
    try:
        _put(out / JUNIT, encode_junit(records))
        _put(out / INDEX, render_index(entries).encode("utf-8"))
    except OSError as error:
        raise _unwritable(out, error) from error
    return out / INDEX


def _write_case(folder: Path, result: Result, content: bytes) -> None:
    if result.trace is not None:
        _put(folder / TRACE, encode_trace(result.trace))
    else:
        (folder / TRACE).unlink(missing_ok=True)  # an earlier run's: it would pass for this one's
    _put(folder / PAGE, render_case(result).encode("utf-8"))
    _put(folder / RESULT, content)


def _results_at(path: Path) -> list[Path]:
    return sorted(path.rglob(RESULT)) if path.is_dir() else [path]


def _link(file: Path, out: Path) -> str:
    page = file.parent / PAGE
    if not page.is_file():
        return ""
    try:
        away = os.path.relpath(page.resolve(), out.resolve())
    except ValueError:  # another drive
        return ""
    return quote(Path(away).as_posix())


def _put(path: Path, content: bytes) -> None:
    """Replace a file in one move: a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp's 0600 would hide the page from a web server
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _unwritable(out: Path, error: OSError) -> UsageError:
    return UsageError(
        "the report can't be written",
        where=error.filename or out,
        observed=error.strerror or str(error),
        hint="--out with a folder that can be written",
    )
