"""A report that can be mailed: its files as one ZIP, or its index with its pages as one HTML file."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from harness.store.atomic import read_bytes, write_bytes
from harness.values.errors import AlignmentError, UsageError
from reports.results.junit import encode_junit
from reports.results.result_record import Record
from reports.run.folder_names import folder_names
from reports.run.index import Entry, render_index
from reports.run.writer import INDEX, JUNIT, PAGE, gather, told

__all__ = ["SUFFIXES", "write_bundle"]

SUFFIXES = (".zip", ".html")

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can say: the same report makes the same bytes

_LINK = re.compile(r'<a href="(?!#)[^"]*">(.*?)</a>', re.DOTALL)
"""A link of a page to a file beside it, which a single file hasn't."""


def write_bundle(paths: Sequence[Path], target: Path) -> tuple[Record, ...]:
    """Write results, judged anywhere, into one file.

    A ZIP holds ``index.html``, ``junit.xml``, and each case's folder as it lies: page, data, reproductions. An HTML
    file holds the index and the pages, each in a frame in which no script runs; what lies beside the pages isn't in it.

    Args:
        paths: of ``result.json`` files, or of folders, as ``merge`` takes them.
        target: a ``.zip`` or an ``.html``; replaced where it is there.

    Returns:
        What it holds, with an ERROR for each case that an invocation planned and that has no result.

    Raises:
        ResultError: a result can't be believed.
        UsageError: there is no result, the target has another suffix, or a file can't be read or written.
    """
    if target.suffix not in SUFFIXES:
        raise UsageError(
            "a bundle is a ZIP or an HTML file",
            where="--bundle",
            observed=target.name,
            allowed=" or ".join(SUFFIXES),
            hint="align report alignment-report --bundle report.zip",
        )
    found, missing = gather(paths)
    names = [f"{number:03d}-{name}" for number, name in enumerate(folder_names([r.verdict.case for _, r in found]), 1)]
    records = [*(record for _, record in found), *missing]
    with told(target):
        content = _zip(found, names, records) if target.suffix == ".zip" else _single(found, records).encode("utf-8")
        write_bytes(target, content)
    return tuple(records)


def _zip(found: Sequence[tuple[Path, Record]], names: Sequence[str], records: Sequence[Record]) -> bytes:
    there = [(file.parent / PAGE).is_file() for file, _ in found]
    links = [f"{name}/{PAGE}" if page else "" for name, page in zip(names, there, strict=True)]
    links += [""] * (len(records) - len(found))  # what was planned and is missing has no page
    entries = [Entry(record, link) for record, link in zip(records, links, strict=True)]
    packed = io.BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        _put(archive, INDEX, render_index(entries).encode("utf-8"))
        _put(archive, JUNIT, encode_junit(records).encode("utf-8"))
        for (file, _), name in zip(found, names, strict=True):
            for beside in _beside(file):
                _put(archive, f"{name}/{beside.relative_to(file.parent).as_posix()}", _read(beside))
    return packed.getvalue()


def _beside(file: Path) -> Iterator[Path]:
    """What a report has of a case, and nothing else that lies there."""
    for pattern in ("result.json", PAGE, "trace.csv", "output.log", "reproduce/*.py", "reproduce/*.safetensors"):
        yield from (each for each in sorted(file.parent.glob(pattern)) if each.is_file() and not each.is_symlink())


def _put(archive: ZipFile, name: str, content: bytes) -> None:
    entry = ZipInfo(name, _TIME)
    entry.compress_type = ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def _single(found: Sequence[tuple[Path, Record]], records: Sequence[Record]) -> str:
    entries, pages = [], {}
    for number, record in enumerate(records, 1):
        page = found[number - 1][0].parent / PAGE if number <= len(found) else None
        name = f"case-{number}" if page is not None and page.is_file() else ""
        entries.append(Entry(record, f"#{name}" if name else ""))
        if page is not None and name:
            pages[name] = _LINK.sub(r"\1", _read(page).decode("utf-8", "replace"))
    return render_index(entries, pages)


def _read(file: Path) -> bytes:
    return read_bytes(file, AlignmentError)
