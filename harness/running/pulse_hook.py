"""What tells, in each of several processes, how far a training has got."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from harness.running.pulse import tell_pulse

__all__ = ["PulseHook"]


class PulseHook(Hook):  # type: ignore[misc]  # mmengine has no types
    """Tells of each iteration that it has begun, and that the model's forward is done.

    Args:
        folder: of the run.
        rank: of this process.
    """

    priority = "VERY_HIGH"

    def __init__(self, folder: Path, rank: int) -> None:
        self._folder, self._rank = folder, rank
        self._iteration = 0

    def before_train(self, runner: Any) -> None:
        """Listen to the model."""
        runner.model.register_forward_hook(lambda *_: self._tell(1))

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Tell that an iteration has begun."""
        self._iteration = runner.iter
        self._tell(0)

    def _tell(self, stage: int) -> None:
        tell_pulse(self._folder, self._rank, self._iteration, stage)
