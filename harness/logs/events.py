"""TensorBoard event files, by TensorBoard's own reader."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from harness.logs.gathering import UNKNOWN, Gathering
from harness.values.errors import LogError

__all__ = ["EVENT_FILE", "read_events"]

EVENT_FILE = "tfevents"
"""Part of the name of every event file."""


def read_events(path: Path, found: Gathering) -> None:
    """Gather the scalars of an event file, or of all event files in a folder; a step is an iteration.

    Raises:
        LogError: the reader is not installed, or can't read the file.
    """
    reader = _reader(path)
    try:
        reader.Reload()
        tags = reader.Tags()
        for tag in tags["scalars"]:
            if (column := found.column(tag)) is not None:
                for event in reader.Scalars(tag):
                    column.append(UNKNOWN, event.step, UNKNOWN, event.value)
        for tag in tags["tensors"]:  # what TensorFlow 2 and its likes write in place of scalars
            if (column := found.column(tag)) is not None:
                for event in reader.Tensors(tag):
                    column.append(UNKNOWN, event.step, UNKNOWN, _scalar(event.tensor_proto))
    except Exception as error:  # noqa: BLE001  # a foreign parser on a foreign file: whatever it raises means one thing
        raise LogError(
            "the event file can't be read", where=path, observed=f"{type(error).__name__}: {error}"
        ) from None


def _reader(path: Path) -> Any:
    try:
        module = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    except ImportError:
        raise LogError(
            "the log is a TensorBoard event file, and what reads it is not installed",
            where=path,
            hint='pip install "alignment-harness[logs]", or pip install tensorboard',
        ) from None
    return module.EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})


def _scalar(proto: Any) -> float:
    values = importlib.import_module("tensorboard.util.tensor_util").make_ndarray(proto).ravel()
    return float(values[0]) if values.size == 1 and values.dtype.kind in "fiu" else float("nan")
