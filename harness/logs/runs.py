"""Folders of runs: which log in them is meant, and what lies beside it."""

from __future__ import annotations

from pathlib import Path

from harness.logs.events import EVENT_FILE
from harness.store.atomic import read_bytes
from harness.store.decoding import decode_plain
from harness.store.provenance_file import provenance_from_json, read_provenance
from harness.values.errors import LogError
from harness.values.provenance import Provenance

__all__ = ["find_log", "read_settings_beside"]

_IN_A_FOLDER = (
    "trace.csv", "trace.jsonl", "vis_data/scalars.json", "scalars.json", "metrics.csv", "results.csv", "metrics.json",
    "trainer_state.json", "logging.jsonl", "trainer_log.jsonl",
)  # fmt: skip
_TRACES = ("trace.csv", "trace.jsonl")


def find_log(path: Path) -> Path:
    """The log that a path means: itself, or what a run's folder holds.

    Raises:
        LogError: there is none, or more than one may be meant.
    """
    if not path.exists():
        raise LogError("there is no such log", where=path)
    if path.name == "result.json" and (path.parent / "trace.csv").is_file():
        return path.parent / "trace.csv"
    if not path.is_dir():
        return path
    for name in _IN_A_FOLDER:
        if (path / name).is_file():
            return path / name
    if any(EVENT_FILE in entry.name for entry in path.iterdir()):
        return path
    logs = sorted(entry for entry in path.rglob("*") if entry.suffix == ".log" or entry.name == "scalars.json")
    scalars = [entry for entry in logs if entry.name == "scalars.json"]
    candidates = scalars or logs
    if len(candidates) == 1:
        return candidates[0]
    if not candidates and len(folders := _event_folders(path)) == 1:
        return folders[0]
    raise LogError(
        "the folder does not say which log is meant",
        where=path,
        observed=", ".join(str(entry.relative_to(path)) for entry in candidates[:8]) or "no log in it",
        allowed=f"one log, {', '.join(_IN_A_FOLDER)}, or event files",
        hint="name the log itself",
    )


def _event_folders(path: Path) -> list[Path]:
    """The folders below with event files, but for those inside another such folder, as TensorBoard's hparams make."""
    folders = sorted({entry.parent for entry in path.rglob(f"*{EVENT_FILE}*") if entry.is_file()})
    return [folder for folder in folders if not any(other in folder.parents for other in folders)]


def read_settings_beside(log: Path) -> dict[str, str]:
    """What this project's own files beside a trace say about its run; nothing where there are none.

    Args:
        log: of a run or a result of this project, or any other.

    Raises:
        LogError: what lies beside a trace can't be read.
    """
    if log.name not in _TRACES:
        return {}
    for name in ("provenance.json", "result.json"):
        beside = log.parent / name
        if not beside.is_file():
            continue
        if name == "provenance.json":
            return _as_settings(read_provenance(beside, LogError))
        document = decode_plain(read_bytes(beside, LogError), beside, LogError)
        sides = document.get("provenance") if isinstance(document, dict) else None
        document = sides.get("candidate") if isinstance(sides, dict) else None
        if document is not None:
            return _as_settings(provenance_from_json(document, beside, LogError))
    return {}


def _as_settings(run: Provenance) -> dict[str, str]:
    return {
        "config": run.case,
        "seed": str(run.seed),
        "initial weights": run.weights,
        "precision": run.precision,
        "world size": str(run.world_size),
        "global batch": str(run.global_batch),
        "device": run.device.label,
        **{name: version for name, version in run.versions.items() if name == "torch"},
    }
