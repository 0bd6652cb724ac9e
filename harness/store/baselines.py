"""Baselines on disk: ``<root>/<case>/<reference>/baseline.json`` and CSV files, guarded by checksums.

baseline.json                 schema, provenance, why and when, the SHA-256 of every file and of itself
fp32/run-0.csv                a healthy run's trace
fp32/run-0.state.csv          its per-tensor norms
fp32/run-0.evaluation.csv     what the model answers in evaluation mode
tf32/…                        the next tier's runs
fp64/run-0.csv                the short run in float64
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.store.atomic import (
    is_being_replaced,
    read_bounded,
    replace_folder,
    require_plain_name,
    write_text,
)
from harness.store.decoding import convert_value, decode_plain, encode_value, plain_value
from harness.store.tables import TABLES, parse_state, parse_trace, render_state, render_trace
from harness.values.baseline import Baseline
from harness.values.bounds import Count
from harness.values.errors import BaselineError, TraceError, UsageError
from harness.values.precision import TIERS
from harness.values.provenance import Provenance
from harness.values.trace import StateTable, Trace

__all__ = ["SCHEMA", "Asking", "BaselineIndex", "choose_reference", "list_references", "load_baseline", "save_baseline"]

SCHEMA = 1
_INDEX = "baseline.json"
_FP64 = "fp64"

_ATTEMPTS = 20
"""To read a baseline that others replace meanwhile. Reading takes milliseconds, recording minutes."""


@dataclass(frozen=True)
class BaselineIndex:
    """What ``baseline.json`` holds beside its checksum.

    Args:
        schema: of the file.
        case: its name.
        reference: the trusted device's label.
        recorded: UTC time, ISO 8601.
        reason: why it was recorded.
        repeats: tier → how many runs.
        iterations: run → how many iterations.
        provenance: of the tightest tier's runs.
        sha256: file → digest of its text.
    """

    schema: int
    case: str
    reference: str
    recorded: str
    reason: str
    repeats: Mapping[str, Count]
    iterations: Mapping[str, Count]
    provenance: Provenance
    sha256: Mapping[str, str]


def list_references(root: Path, case: str) -> tuple[str, ...]:
    """The references that a case has a baseline of, sorted."""
    folder = root / require_plain_name(case, "the case's name")
    found = (entry.name for entry in folder.iterdir() if (entry / _INDEX).exists()) if folder.is_dir() else ()
    return tuple(sorted(name for name in found if not name.startswith(".")))


@dataclass(frozen=True)
class Asking:
    """How the command line asks for a case's baseline, so that hints can be pasted.

    Args:
        case: its name, or the path of its config.
        place: the options that name the folder of its baselines; empty where no option does.
        command: that asks; empty where none does.
    """

    case: str
    place: str = ""
    command: str = ""

    def record(self, reference: str, reason: str = "") -> str:
        """The command that records a baseline of this name."""
        device = reference.partition("-")[0] or "cuda"
        words = ["align record", self.case, f"--device {device}"]
        words += [f"--reference {reference}"] if reference and reference != device else []
        words += [self.place] if self.place else []
        words += [f'--reason "{reason}"'] if reason else []
        return " ".join(words)


def choose_reference(root: Path, case: str, asked: str = "", asking: Asking | None = None) -> str:
    """Which of a case's baselines is meant.

    Args:
        root: of the baselines.
        case: the case's name.
        asked: by ``--reference`` or the case's alignment block; without it the one that is there is meant.
        asking: how the command line asks.

    Raises:
        BaselineError: nothing is asked for, and there is none, or there are several.
    """
    asking = asking or Asking(case)
    known = list_references(root, case)
    if asked or len(known) == 1:
        return asked or known[0]
    if not known:
        raise BaselineError(
            f"there is no baseline of {case}: record one on the trusted machine, or verify with --no-baseline",
            where=root / case,
            hint=asking.record(""),
        )
    raise BaselineError(
        f"there are several baselines of {case}: say which",
        where=root / case,
        observed=", ".join(known),
        hint=f"{asking.command or f'align verify {asking.case}'} --reference {known[0]}",
    )


def save_baseline(root: Path, baseline: Baseline) -> Path:
    """Write a baseline whole, in the place of the one that was there.

    Returns:
        Its folder.
    """
    folder = _folder(root, baseline.case, baseline.reference)
    with replace_folder(folder) as fresh:
        runs = {f"{tier}/run-{n}": run for tier, runs in baseline.tiers.items() for n, run in enumerate(runs)}
        if baseline.fp64 is not None:
            runs[f"{_FP64}/run-0"] = baseline.fp64
        for name, run in runs.items():
            write_text(fresh / f"{name}.csv", render_trace(run))
            for kind in TABLES:
                table: StateTable = getattr(run, kind)
                if table.names:
                    write_text(fresh / f"{name}.{kind}.csv", render_state(table))
        files = sorted(path.relative_to(fresh).as_posix() for path in fresh.rglob("*.csv"))
        index = BaselineIndex(
            schema=SCHEMA,
            case=baseline.case,
            reference=baseline.reference,
            recorded=baseline.recorded,
            reason=baseline.reason,
            repeats={tier: len(runs) for tier, runs in baseline.tiers.items()},
            iterations={name: run.planned for name, run in runs.items()},
            provenance=baseline.provenance,
            sha256={name: _sha256((fresh / name).read_text(encoding="utf-8")) for name in files},
        )
        plain = plain_value(index)
        write_text(fresh / _INDEX, encode_value({**plain, "checksum": _checksum(plain)}))
    return folder


def load_baseline(root: Path, case: str, reference: str = "", asking: Asking | None = None) -> Baseline:
    """Read a baseline, every file of it once and checked: what is parsed are the bytes that were hashed.

    One that is replaced while it is read is read again, so that no answer holds runs of two recordings.

    Args:
        root: of the baselines.
        case: the case's name.
        reference: which of the case's baselines; the only one that is there where empty.
        asking: how the command line asks for it, for hints.

    Raises:
        BaselineError: there is none, or several where none is named, or it is unreadable, edited, half-written, or of
            another schema; names the file. Or others replace it faster than it can be read.
    """
    asking = asking or Asking(case)
    reference = choose_reference(root, case, reference, asking)
    folder = _folder(root, case, reference)
    for attempt in range(_ATTEMPTS):
        before = _version(folder)
        try:
            return _load(root, case, reference, asking)
        except BaselineError:
            vanished = before is None and is_being_replaced(folder) and attempt < _ATTEMPTS - 1
            if _version(folder) == before and not vanished:
                raise
        time.sleep(0.002 * attempt)
    raise BaselineError(
        "the baseline is replaced again and again while it is read",
        where=folder,
        observed=f"{_ATTEMPTS} attempts",
        hint=f"wait until every `align record {case}` has ended",
    )


def _version(folder: Path) -> tuple[int, int, int] | None:
    """What tells one writing of a baseline from the next, also where both hold the same; None where there is none."""
    try:
        found = (folder / _INDEX).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _load(root: Path, case: str, reference: str, asking: Asking) -> Baseline:
    folder = _folder(root, case, reference)
    hint = asking.record(reference, "it was damaged")
    if not (folder / _INDEX).exists():
        known = list_references(root, case)
        raise BaselineError(
            f"there is no baseline {reference!r} of {case}",
            where=folder / _INDEX,
            allowed=", ".join(known) or None,
            hint=asking.record(reference),
        )
    index = _read_index(folder / _INDEX, hint)
    try:
        texts = _read_files(folder, index, hint)
        traces = {name: _parse(name, planned, texts, folder) for name, planned in index.iterations.items()}
        tiers = {
            tier: tuple(traces[f"{tier}/run-{number}"] for number in range(repeats))
            for tier, repeats in sorted(index.repeats.items(), key=lambda item: TIERS.index(item[0]))
        }
        return Baseline(
            case=_matching(index.case, case, folder),
            reference=_matching(index.reference, reference, folder),
            tiers=tiers,
            provenance=index.provenance,
            fp64=traces.get(f"{_FP64}/run-0"),
            reason=index.reason,
            recorded=index.recorded,
        )
    except BaselineError as refused:
        plain = f"align record {case} "
        if refused.hint and refused.hint.startswith(plain):  # of the baseline itself, which knows no paths
            command = " ".join(["align record", asking.case, *([asking.place] if asking.place else [])])
            refused.hint = f"{command} {refused.hint.removeprefix(plain)}"
        raise
    except (KeyError, ValueError) as failure:  # a tier that no one knows, or a run that isn't there
        raise BaselineError(
            "the baseline lacks a run, or names a tier that is none",
            where=folder / _INDEX,
            observed=repr(failure),
            hint=hint,
        ) from None


def _folder(root: Path, case: str, reference: str) -> Path:
    return root / require_plain_name(case, "the case's name") / require_plain_name(reference, "the reference's name")


def _read_index(path: Path, hint: str) -> BaselineIndex:
    plain = decode_plain(read_bounded(path, BaselineError, hint).encode(), path, BaselineError, hint=hint)
    schema = plain.get("schema") if isinstance(plain, dict) else None
    if schema != SCHEMA:
        raise BaselineError("the baseline has another schema", where=path, observed=schema, allowed=SCHEMA, hint=hint)
    claimed = plain.pop("checksum", None)
    checksum = _checksum(plain)
    if claimed != checksum:
        raise BaselineError(
            "the baseline was edited", where=path, observed=f"checksum {checksum}", allowed=claimed, hint=hint
        )
    return convert_value(plain, BaselineIndex, path, BaselineError, hint=hint)


def _read_files(folder: Path, index: BaselineIndex, hint: str) -> dict[str, str]:
    """File → its text; every run has a checksum, every checksum a file, and they agree."""
    checksums = index.sha256
    if unguarded := [f"{name}.csv" for name in index.iterations if f"{name}.csv" not in checksums]:
        raise BaselineError(
            "a file of the baseline has no checksum",
            where=folder / _INDEX,
            observed=", ".join(unguarded),
            hint=hint,
        )
    texts = {}
    for name, wanted in checksums.items():
        path = _inside(folder, name, hint)
        texts[name] = read_bounded(path, BaselineError, hint)
        if (found := _sha256(texts[name])) != wanted:
            raise BaselineError(
                "a file of the baseline was edited or is cut short",
                where=path,
                observed=f"SHA-256 {found}",
                allowed=wanted,
                hint=hint,
            )
    return texts


def _parse(name: str, planned: int, texts: Mapping[str, str], folder: Path) -> Trace:
    """A run from the texts of its files."""
    try:
        trace = parse_trace(texts[f"{name}.csv"], folder / f"{name}.csv", planned=planned, complete=True)
        for table in TABLES:
            if (file := f"{name}.{table}.csv") in texts:
                changes: dict[str, Any] = {table: parse_state(texts[file], folder / file)}
                trace = dataclasses.replace(trace, **changes)
        return trace
    except TraceError as failure:
        raise BaselineError(
            failure.what,
            where=failure.where or folder / f"{name}.csv",
            observed=failure.observed,
            allowed=failure.allowed,
            hint=failure.hint,
        ) from None


def _inside(folder: Path, name: str, hint: str) -> Path:
    parts = name.split("/")
    try:
        for part in parts:
            require_plain_name(part, "a file of the baseline")
    except UsageError:
        raise BaselineError(
            "the baseline names a file outside its folder", where=folder / _INDEX, observed=repr(name), hint=hint
        ) from None
    return folder.joinpath(*parts)


def _matching(found: str, wanted: str, folder: Path) -> str:
    if found != wanted:
        raise BaselineError("the baseline is another's", where=folder / _INDEX, observed=found, allowed=wanted)
    return found


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(index: Mapping[str, Any]) -> str:
    return _sha256(json.dumps(index, sort_keys=True, ensure_ascii=False))
