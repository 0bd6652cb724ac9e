"""Adopting a baseline that was recorded elsewhere: all of its checks, then one atomic placing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.baseline_folders.baseline_archive import ADOPTION, SCHEMA, Parcel, checked
from harness.store.atomic import replace_folder, write_text
from harness.store.baselines import list_references
from harness.store.decoding import encode_value, read_value
from harness.values.baseline import Baseline
from harness.values.errors import BaselineError, UsageError

__all__ = ["Adoption", "Arrival", "adoption_of", "inspect", "place", "require_replaceable", "require_same_settings"]

_NAMED = 5
"""Of many settings that differ those that are told."""


@dataclass(frozen=True)
class Adoption:
    """How a baseline came to this machine.

    Args:
        source: the archive or folder, as the command line named it.
        sender: the machine that it was exported on; empty where nothing says.
        adopted: UTC time, ISO 8601.
        reason: why it replaced another; empty where there was none.
        replaced: when the one was recorded that it replaced; empty where there was none.
    """

    source: str
    sender: str
    adopted: str
    reason: str
    replaced: str


@dataclass(frozen=True, eq=False)
class Arrival:
    """A baseline that arrived, whole.

    Args:
        parcel: where it lies unpacked.
        baseline: what it holds.
    """

    parcel: Parcel
    baseline: Baseline


def inspect(parcel: Parcel, source: Path) -> Arrival:
    """Check what arrived.

    Raises:
        BaselineError: it is damaged, incomplete, of another schema, or another than its manifest says; or its norms are
            of other elements than this version samples.
    """
    baseline = checked(parcel, source)
    baseline.require_sampling()
    return Arrival(parcel, baseline)


def require_same_settings(baseline: Baseline, here: Mapping[str, str], config: Path) -> None:
    """The config that it was recorded of and the one that is here make the same experiment.

    Args:
        baseline: that arrived.
        here: the settings of the case as this machine has it.
        config: where they come from.

    Raises:
        BaselineError: a setting differs: no candidate would be comparable with it.
    """
    there = baseline.provenance.settings
    names = sorted(name for name in {*there, *here} if there.get(name) != here.get(name))
    if not names:
        return
    shown = [f"{name}: {there.get(name, 'absent')} there, {here.get(name, 'absent')} here" for name in names[:_NAMED]]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    raise BaselineError(
        f"the baseline was recorded of another config: {len(names)} of its settings differ",
        where=config,
        observed="; ".join(shown) + more,
        allowed="the same settings on both machines: no candidate is comparable otherwise",
        hint=f"check out commit {baseline.provenance.commit or '?'} on this machine, or record there with this config; "
        "--cfg-options names what the recording was given",
    )


def require_replaceable(root: Path, baseline: Baseline, reason: str, command: str) -> bool:
    """Whether a baseline is replaced; asked before anything is written.

    Args:
        root: of the baselines.
        baseline: that is to be placed.
        reason: why; empty for none.
        command: that was typed.

    Raises:
        UsageError: there is one already, and no reason is given.
    """
    there = baseline.reference in list_references(root, baseline.case)
    if there and not reason.strip():
        raise UsageError(
            f"there is a baseline {baseline.reference!r} of {baseline.case} already: say why it is replaced",
            where=root / baseline.case / baseline.reference,
            hint=f'{command} --reason "why"',
        )
    return there


def place(arrival: Arrival, root: Path, adoption: Adoption) -> Path:
    """Put a checked baseline in its place, byte for byte; whoever reads sees the old one or the new one, whole.

    Args:
        arrival: the baseline.
        root: of the baselines that it joins.
        adoption: what is kept of how it came here.

    Returns:
        Its folder.
    """
    parcel = arrival.parcel
    folder = root / parcel.case / parcel.reference
    with replace_folder(folder) as fresh:
        for source in sorted(parcel.folder.rglob("*")):
            if source.is_file() and source.name != ADOPTION:
                target = fresh / source.relative_to(parcel.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
        write_text(fresh / ADOPTION, encode_value(adoption, schema=SCHEMA))
    return folder


def adoption_of(folder: Path) -> Adoption | None:
    """How a baseline came here; None where it was recorded here, or nothing readable says."""
    path = folder / ADOPTION
    if not path.is_file():
        return None
    return read_value(path, Adoption, BaselineError, schema=SCHEMA)
