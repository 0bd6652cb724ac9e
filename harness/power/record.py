"""A finished run of a study: how it ended, its trace, and what it did to gradients."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

import numpy as np

from harness.power.experiment import Experiment
from harness.power.folder import ERRORS, OUTCOME
from harness.running.folder import FORCED, PROVENANCE, STREAM, shadow_files
from harness.store.atomic import read_bounded, write_text
from harness.store.provenance import read_provenance
from harness.store.shadow import read_shadow
from harness.store.stream import read_stream
from harness.values.errors import AlignmentError, RunError
from harness.values.provenance import Provenance
from harness.values.shadow import ShadowRecord
from harness.values.trace import FloatArray, Trace

__all__ = ["Ending", "Record", "find_record", "write_outcome"]


class Ending(str, Enum):
    """How a run ended."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    """As soon as it was seen."""

    CRASHED = "crashed"
    """By an error, or with its process."""


@dataclass(frozen=True, eq=False)
class Record:
    """A finished run.

    Args:
        experiment: what was run.
        folder: where its files are.
        ending: how it ended.
        error: why, where it crashed.
        seconds: wall-clock time, set-up included.
    """

    experiment: Experiment
    folder: Path
    ending: Ending
    error: str
    seconds: float

    @cached_property
    def trace(self) -> Trace | None:
        """Its trace up to its end; None where it left none.

        Raises:
            TraceError: a run that did not crash has none that can be read.
        """
        try:
            return read_stream(self.folder / STREAM)
        except AlignmentError:
            if self.ending is Ending.CRASHED:
                return None
            raise

    @cached_property
    def provenance(self) -> Provenance | None:
        """Where it comes from; None where it crashed before it said so."""
        try:
            return read_provenance(self.folder / PROVENANCE)
        except AlignmentError:
            if self.ending is Ending.CRASHED:
                return None
            raise

    @cached_property
    def errors(self) -> dict[str, FloatArray] | None:
        """``gradient`` and ``update``, each (T, P): relative error norms beside the twin's; None where there are none.

        Raises:
            RunError: the file is malformed.
        """
        path = self.folder / ERRORS
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {part: archive[part].astype(np.float64) for part in ("gradient", "update")}
        except (OSError, ValueError, KeyError) as failure:
            raise RunError("errors of gradients can't be read", where=path, observed=repr(failure)) from None

    @property
    def shadow(self) -> ShadowRecord | None:
        """Its operations beside float64, megabytes of them and not kept; None where none were watched, or it crashed.

        Raises:
            RunError: a run that did not crash has none that can be read.
        """
        return self._checks(shadow_files(self.folder)) if self.experiment.shadow else None

    @property
    def forced(self) -> ShadowRecord | None:
        """Its operations with hard inputs, not kept either; None where none were asked for, or it crashed.

        Raises:
            RunError: a run that did not crash has none that can be read.
        """
        return self._checks([self.folder / FORCED]) if self.experiment.forced else None

    def _checks(self, files: list[Path]) -> ShadowRecord | None:
        try:
            if not files:
                raise RunError("the shadow checks are missing", where=self.folder)
            return read_shadow(files)
        except AlignmentError:
            if self.ending is Ending.CRASHED:
                return None
            raise


def write_outcome(folder: Path, experiment: Experiment, ending: Ending, error: str, seconds: float) -> None:
    """Say how a run ended; from now on it counts as run."""
    document = {"experiment": experiment.to_json(), "ending": ending.value, "error": error, "seconds": seconds}
    write_text(folder / OUTCOME, json.dumps(document, indent=1) + "\n")


def find_record(folder: Path) -> Record | None:
    """The run that a folder holds; None where it holds none, or one that was killed.

    Raises:
        RunError: what it holds is malformed.
    """
    path = folder / OUTCOME
    if not path.exists():
        return None
    try:
        document = json.loads(read_bounded(path, RunError))
        return Record(
            experiment=Experiment.from_json(document["experiment"]),
            folder=folder,
            ending=Ending(document["ending"]),
            error=str(document["error"]),
            seconds=float(document["seconds"]),
        )
    except (ValueError, KeyError, TypeError) as failure:
        raise RunError("the outcome of a run can't be read", where=path, observed=repr(failure)) from None
