"""Files that travel between machines: each with its SHA-256, which is checked where they arrive."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from harness.store.atomic import write_bytes
from harness.values.errors import RunError

__all__ = ["Answer", "Job", "Parcel", "Sent", "pack", "unpack"]


@dataclass(frozen=True)
class Parcel:
    """Some files.

    Args:
        files: path within the parcel, with slashes → content.
        digests: path → SHA-256, 64 hexadecimal digits.
    """

    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    digests: Mapping[str, str] = field(default_factory=dict, repr=False)


class Sent(Protocol):
    """Anything that is sent to another machine to be done there."""

    @property
    def number(self) -> int:
        """Its place among those of the command."""

    @property
    def device(self) -> str:
        """The type of device that it runs on; empty where the machine's own choice is meant."""


@dataclass(frozen=True)
class Job:
    """A case to verify on another machine.

    Args:
        number: its place among those of the command.
        case: as the command line names it.
        words: the other words of ``align verify``.
        device: the type of device, as ``--device`` names it; empty where the machine's own choice is meant.
        invocation: of the command, as ``harness.running.invoking`` hands it on.
        baselines: what the root of the baselines holds of the case.
        seconds: to sleep in place of a run; 0 for a run. For measuring what scheduling costs.
    """

    number: int
    case: str
    words: tuple[str, ...] = ()
    device: str = ""
    invocation: str = ""
    baselines: Parcel = field(default_factory=Parcel)
    seconds: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What came of a job.

    Args:
        number: of the job.
        host: the name of the machine, with its node in the cluster.
        card: the card that it ran on; empty where it saw all.
        report: the case's folder of the report; nothing where none was written.
        said: why there is none.
    """

    number: int
    host: str
    card: str = ""
    report: Parcel = field(default_factory=Parcel)
    said: str = ""


def pack(root: Path, folder: Path) -> Parcel:
    """A file, or every one below a folder, by its path from a root above it."""
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in (sorted(folder.rglob("*")) if folder.is_dir() else [folder])
        if path.is_file() and not path.is_symlink()
    }
    return Parcel(files, {name: hashlib.sha256(content).hexdigest() for name, content in files.items()})


def unpack(parcel: Parcel, folder: Path) -> None:
    """Write the files of a parcel below a folder.

    Raises:
        RunError: a file isn't what was sent, or its path would leave the folder; nothing is written then.
    """
    if parcel.files.keys() != parcel.digests.keys():
        raise RunError("files are missing of those that were sent", where=folder)
    for name, content in parcel.files.items():
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\0" in name:
            raise RunError("a file that arrived would leave its folder", where=folder, observed=repr(name)[:200])
        if (found := hashlib.sha256(content).hexdigest()) != parcel.digests[name]:
            allowed = f"SHA-256 {parcel.digests[name]}"
            raise RunError("a file arrived changed", where=name, observed=f"SHA-256 {found}", allowed=allowed)
    for name, content in parcel.files.items():
        write_bytes(folder / name, content)
