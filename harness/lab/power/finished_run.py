"""A finished run of a study: how it ended, its trace, and what it did to gradients."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

import numpy as np

from harness.lab.power.study_folder import ERRORS, OUTCOME
from harness.lab.power.study_run import Experiment
from harness.running.folder import FORCED, PROVENANCE, STREAM, shadow_files
from harness.shadow.evidence.checks import ShadowRecord
from harness.shadow.files.check_stream import read_shadow
from harness.store.atomic import write_text
from harness.store.decoding import encode_value, read_value
from harness.store.provenance_file import read_provenance
from harness.store.stream import read_stream
from harness.values.bounds import NotNegative
from harness.values.errors import AlignmentError, RunError
from harness.values.provenance import Provenance
from harness.values.trace import FloatArray, Trace

__all__ = ["Ending", "FinishedRun", "find_record", "write_outcome"]

SCHEMA = 1


class Ending(str, Enum):
    """How a run ended."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    """As soon as it was seen."""

    CRASHED = "crashed"
    """By an error, or with its process."""


@dataclass(frozen=True, eq=False)
class FinishedRun:
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


@dataclass(frozen=True)
class _Outcome:
    """How a run ended, as its folder says it."""

    experiment: Experiment
    ending: Ending
    error: str
    seconds: NotNegative


def write_outcome(folder: Path, experiment: Experiment, ending: Ending, error: str, seconds: float) -> None:
    """Say how a run ended; from now on it counts as run."""
    write_text(folder / OUTCOME, encode_value(_Outcome(experiment, ending, error, seconds), schema=SCHEMA))


def find_record(folder: Path) -> FinishedRun | None:
    """The run that a folder holds; None where it holds none, or one that was killed.

    Raises:
        RunError: what it holds is malformed.
    """
    path = folder / OUTCOME
    if not path.exists():
        return None
    told = read_value(path, _Outcome, RunError, schema=SCHEMA)
    return FinishedRun(told.experiment, folder, told.ending, told.error, told.seconds)
