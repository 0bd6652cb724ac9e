"""A baseline on its way from one machine to another: one zip file, checked before anything of it is believed.

``manifest.json`` says which baselines the archive holds, of which config each is (a digest of its settings) and which
checksum each ``baseline.json`` has; the baselines follow as ``<case>/<reference>/…``. Times in the archive are fixed
and its entries sorted, so that the same baselines make the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.store.atomic import LARGEST_FILE, read_bytes, require_plain_name, write_bytes
from harness.store.baselines import load_baseline
from harness.store.decoding import decode_plain, decode_value, encode_value
from harness.store.temporary import owned_folder
from harness.values.baseline import Baseline
from harness.values.errors import BaselineError, UsageError

__all__ = ["ADOPTION", "ARCHIVE_SUFFIX", "Parcel", "checked", "export", "opened", "settings_digest"]

ARCHIVE_SUFFIX = ".zip"
_MANIFEST = "manifest.json"
_INDEX = "baseline.json"
SCHEMA = 1

ADOPTION = "adoption.json"
"""Beside a baseline that was adopted: from where, when and why. It stays on the machine that adopted it."""

LARGEST_ARCHIVE = 2**30
"""Bytes, unpacked: a case of 50 iterations and 20 million weights in five tiers has a hundredth of it."""

_MOST_FILES = 10_000
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say


@dataclass(frozen=True)
class _Entry:
    case: str
    reference: str
    settings: str
    checksum: str


@dataclass(frozen=True)
class _Manifest:
    baselines: tuple[_Entry, ...]
    exported_on: str
    version: str


@dataclass(frozen=True)
class Parcel:
    """A baseline that lies unpacked, not yet checked.

    Args:
        root: the folder whose ``<case>/<reference>/`` it is.
        case: the case's name, as the folder says.
        reference: the baseline's name, as the folder says.
        settings: digest of the config's settings, as the sender's manifest says; empty without one.
        sender: the machine that it was exported on; empty without a manifest.
    """

    root: Path
    case: str
    reference: str
    settings: str = ""
    sender: str = ""

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.root / self.case / self.reference


def settings_digest(settings: Mapping[str, str]) -> str:
    """SHA-256 of a resolved config's settings, as ``Provenance`` keeps them."""
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def export(baselines: Sequence[tuple[Path, Baseline]], out: Path, version: str) -> int:
    """Write baselines into one archive, whole or not at all.

    Args:
        baselines: the root that each lies below, and what was read of it: nothing that can't be read is sent.
        out: the archive.
        version: of this project.

    Returns:
        How many bytes it has.

    Raises:
        UsageError: ``out`` is no name of a zip file.
        BaselineError: a baseline changed while it was read.
    """
    if out.suffix != ARCHIVE_SUFFIX:
        raise UsageError("the archive is a zip file", where="--out", observed=out, allowed=f"NAME{ARCHIVE_SUFFIX}")
    entries, files = [], {}
    for root, baseline in baselines:
        folder = root / baseline.case / baseline.reference
        sent = [path for path in sorted(_files(folder)) if path.name != ADOPTION]
        texts = {path.relative_to(root).as_posix(): path.read_bytes() for path in sent}
        index = decode_plain(texts[f"{baseline.case}/{baseline.reference}/{_INDEX}"], folder / _INDEX, BaselineError)
        if index["recorded"] != baseline.recorded:
            raise BaselineError("the baseline was replaced while it was read", where=folder, hint="export it again")
        digest = settings_digest(baseline.provenance.settings)
        entries.append(_Entry(baseline.case, baseline.reference, digest, index["checksum"]))
        files.update(texts)
    manifest = _Manifest(tuple(entries), platform.node(), version)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ((_MANIFEST, encode_value(manifest, schema=SCHEMA).encode()), *sorted(files.items())):
            archive.writestr(zipfile.ZipInfo(name, _TIME), content, zipfile.ZIP_DEFLATED)
    content = packed.getvalue()
    write_bytes(out, content)
    return len(content)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Parcel, ...]]:
    """The baselines of an archive, unpacked into a folder that is removed at the end; or of a folder, where they lie.

    Args:
        path: an archive; a baseline's folder; or a folder that holds ``<case>/<reference>/``.

    Raises:
        BaselineError: there is none; or the archive is damaged, holds more than it may, names a file outside of it, or
            other baselines than its manifest says.
    """
    if not path.exists():
        raise BaselineError(
            "there is no such archive or folder",
            where=path,
            allowed="a zip file of `align baseline export`, or a baseline's folder",
        )
    with owned_folder("align-adopt-") as temporary:
        if path.is_dir():
            yield _copied(path.absolute(), temporary)
        else:
            _unpack(path, temporary)
            yield _announced(temporary, path)


def _copied(path: Path, into: Path) -> tuple[Parcel, ...]:
    """The baselines of a folder, copied: what is checked can't change before it is placed."""
    found = [path] if (path / _INDEX).is_file() else sorted(each.parent for each in path.glob(f"*/*/{_INDEX}"))
    if not found:
        raise BaselineError("the folder holds no baseline", where=path, allowed=f"<case>/<reference>/{_INDEX} in it")
    size = 0
    for folder in found:
        for source in sorted(folder.rglob("*")):
            if source.is_symlink() or not (source.is_dir() or source.is_file()):
                raise BaselineError("the folder holds what is no plain file", where=source)
            if source.is_file():
                content = read_bytes(source, BaselineError)
                size += len(content)
                if size > LARGEST_ARCHIVE:
                    raise BaselineError("the folder is too large", where=path, allowed=f"{LARGEST_ARCHIVE} bytes")
                target = into / folder.parent.name / folder.name / source.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    return tuple(Parcel(into, folder.parent.name, folder.name) for folder in found)


def _unpack(path: Path, into: Path) -> None:
    """Every file of an archive below a folder; names, number and sizes are bounded before a byte is written."""
    hint = "export it again, and copy it in binary mode"
    try:
        with zipfile.ZipFile(path) as archive:
            listed = [entry for entry in archive.infolist() if not entry.is_dir()]
            _require_bounded(listed, path)
            for entry in listed:
                target = into.joinpath(*_parts(entry, path))
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed:
                    content = packed.read(entry.file_size + 1)
                target.write_bytes(content)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as failure:
        raise BaselineError(
            "the archive can't be read, or is cut short", where=path, observed=str(failure), hint=hint
        ) from None


def _require_bounded(listed: Sequence[zipfile.ZipInfo], path: Path) -> None:
    names = [entry.filename for entry in listed]
    if len(names) > _MOST_FILES:
        raise BaselineError("the archive holds too many files", where=path, observed=len(names), allowed=_MOST_FILES)
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise BaselineError("the archive holds a file twice", where=path, observed=repr(repeated))
    if any(entry.file_size > LARGEST_FILE for entry in listed) or sum(e.file_size for e in listed) > LARGEST_ARCHIVE:
        raise BaselineError(
            "the archive unpacks to more than a baseline may have",
            where=path,
            observed=f"{sum(entry.file_size for entry in listed)} bytes",
            allowed=f"{LARGEST_ARCHIVE} bytes in all, {LARGEST_FILE} a file",
        )


def _parts(entry: zipfile.ZipInfo, path: Path) -> tuple[str, ...]:
    """The parts of a name in an archive: plain ones alone, of a plain file."""
    kind = entry.external_attr >> 16
    if "\\" in entry.filename or (kind and not stat.S_ISREG(kind) and stat.S_IFMT(kind)):
        raise BaselineError("the archive holds what is no plain file", where=path, observed=repr(entry.filename))
    parts = PurePosixPath(entry.filename).parts
    try:
        for part in parts:
            require_plain_name(part, "a file of the archive")
    except UsageError:
        raise BaselineError(
            "the archive names a file outside of its folder", where=path, observed=repr(entry.filename)
        ) from None
    return parts


def _announced(root: Path, path: Path) -> tuple[Parcel, ...]:
    """What lies unpacked, where it is what the manifest says."""
    if not (root / _MANIFEST).is_file():
        found = sorted(root.glob(f"*/*/{_INDEX}"))
        if not found:
            raise BaselineError(
                "the archive holds no baseline", where=path, allowed=f"<case>/<reference>/{_INDEX} in it"
            )
        return tuple(Parcel(root, index.parent.parent.name, index.parent.name) for index in found)
    manifest = decode_value((root / _MANIFEST).read_bytes(), _Manifest, f"{path}: {_MANIFEST}", BaselineError, schema=1)
    held = {(index.parent.parent.name, index.parent.name) for index in root.glob(f"*/*/{_INDEX}")}
    said = {(entry.case, entry.reference) for entry in manifest.baselines}
    if held != said or not said:
        raise BaselineError(
            "the archive holds other baselines than its manifest says",
            where=path,
            observed=", ".join(sorted("/".join(each) for each in held)) or "none",
            allowed=", ".join(sorted("/".join(each) for each in said)) or "at least one",
        )
    for entry in manifest.baselines:
        index = root / entry.case / entry.reference / _INDEX
        where = f"{path}: {entry.case}/{entry.reference}/{_INDEX}"
        plain = decode_plain(read_bytes(index, BaselineError), where, BaselineError)
        claimed = plain.get("checksum") if isinstance(plain, dict) else None
        if claimed != entry.checksum:
            raise BaselineError(
                "a baseline of the archive is another than its manifest says",
                where=f"{path}: {entry.case}/{entry.reference}",
                observed=str(claimed)[:80],
                allowed=entry.checksum,
            )
    return tuple(
        Parcel(root, entry.case, entry.reference, entry.settings, manifest.exported_on) for entry in manifest.baselines
    )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def checked(parcel: Parcel, source: Path) -> Baseline:
    """A baseline that arrived: whole, unchanged, in this version's schema, with nothing beside what it names.

    Args:
        parcel: where it lies unpacked.
        source: what the command line named, for messages.

    Raises:
        BaselineError: a check fails; the message names the file within what arrived.
    """
    where = f"{source}: {parcel.case}/{parcel.reference}"
    try:
        baseline = load_baseline(parcel.root, parcel.case, parcel.reference)
    except BaselineError as error:
        inside = str(error.where or "").replace(str(parcel.folder), where)
        raise BaselineError(
            error.what,
            where=inside or where,
            observed=error.observed,
            allowed=error.allowed,
            hint="export it again where it was recorded, and copy it in binary mode",
        ) from None
    index = decode_plain(read_bytes(parcel.folder / _INDEX, BaselineError), where, BaselineError)
    named = {*index["sha256"], _INDEX, ADOPTION}
    found = {path.relative_to(parcel.folder).as_posix() for path in _files(parcel.folder)}
    if extra := sorted(found - named):
        raise BaselineError(
            "a file lies in the baseline that it doesn't name", where=where, observed=", ".join(extra[:3])
        )
    if parcel.settings and settings_digest(baseline.provenance.settings) != parcel.settings:
        raise BaselineError("the config's digest is another than the manifest says", where=where)
    return baseline
