"""Checkpoints of a training: found, and written so that they are read again without running what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook

from harness.values.errors import RunError

__all__ = ["PlainCheckpointHook", "find_checkpoint"]

LATEST = "last_checkpoint"
"""The file in which mmengine keeps the path of the checkpoint that it wrote last."""


class PlainCheckpointHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Leaves the history of what was logged out of each checkpoint, and writes NumPy's scalars as plain numbers.

    mmengine keeps the history as objects of its own, and the time to go as NumPy computed it. PyTorch refuses to read
    either again since 2.6: it unpickles tensors and plain values alone. A training goes on without that history.
    """

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Called by mmengine with what is about to be written."""
        if "message_hub" in checkpoint:
            told = checkpoint["message_hub"]["runtime_info"]
            checkpoint["message_hub"] = {
                **checkpoint["message_hub"],
                "log_scalars": {},
                "runtime_info": {key: v.item() if isinstance(v, np.generic) else v for key, v in told.items()},
            }


def find_checkpoint(asked: str, folder: Path) -> Path | None:
    """The checkpoint to go on from.

    Args:
        asked: its path, or ``auto`` for the one that the folder's run wrote last.
        folder: of the run.

    Returns:
        None where the latest is asked for, and the run was ended before it wrote one.

    Raises:
        RunError: there is no such file.
    """
    if asked != "auto":
        if not Path(asked).is_file():
            raise RunError("there is no such checkpoint", where="--resume", observed=asked, hint="--resume without it")
        return Path(asked)
    if not (folder / LATEST).is_file():
        return None
    named = Path((folder / LATEST).read_text(encoding="utf-8").strip())
    for path in (named, folder / named.name):  # the folder may have been moved
        if path.is_file():
            return path
    raise RunError(
        "the checkpoint that was written last is gone",
        where=folder / LATEST,
        observed=named,
        hint="--resume CHECKPOINT",
    )
