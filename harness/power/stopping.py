"""Ends a run as soon as the rules have seen enough of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from harness.store.stream import read_stream
from harness.values.trace import Trace

__all__ = ["SeenEnoughError", "StopHook"]


class SeenEnoughError(Exception):
    """Leaves mmengine's loop: the run was called, and what follows adds nothing."""


class StopHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Asks the rules after each iteration, and ends the run a few iterations after they have called it.

    Args:
        stream: the run's trace as it is written.
        is_seen: whether the rules call the trace so far, whatever follows.
        settle: iterations to go on after that.
    """

    priority = "LOWEST"

    def __init__(self, stream: Path, is_seen: Callable[[Trace], bool], settle: int) -> None:
        self._stream = stream
        self._is_seen = is_seen
        self._settle = settle
        self._seen_at: int | None = None

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Raise once it is seen and settled.

        Raises:
            SeenEnoughError: the run has nothing more to show; never after its last iteration.
        """
        if self._seen_at is None and self._is_seen(read_stream(self._stream)):
            self._seen_at = runner.iter
        last = runner.iter + 1 >= runner.max_iters
        if self._seen_at is not None and runner.iter >= self._seen_at + self._settle and not last:
            raise SeenEnoughError
