"""Ends a run as soon as the rules, or shadow ops, have seen enough of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from harness.running.folder import shadow_files
from harness.shadow.files.check_stream import read_shadow
from harness.shadow.judging.operations import weigh_shadow
from harness.store.stream import read_stream
from harness.values.trace import Trace

__all__ = ["SeenEnoughError", "ShadowStopHook", "StopHook"]


class SeenEnoughError(Exception):
    """Leaves mmengine's loop: the run was called, and what follows adds nothing.

    Args:
        whole: whether the run has all the same what was asked of it.
    """

    def __init__(self, *, whole: bool = False) -> None:
        super().__init__()
        self.whole = whole


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


class ShadowStopHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Ends a run behind its last shadowed iteration, or as soon as shadow ops have found something.

    Args:
        folder: of the run, where its shadow checks are written.
        iterations: that are shadowed, at least one.
        tier: precision tier that they are judged at.
        when_found: whether a finding ends it too.
    """

    priority = "LOWEST"

    def __init__(self, folder: Path, iterations: Collection[int], tier: str, *, when_found: bool) -> None:
        self._folder = folder
        self._iterations = frozenset(iterations)
        self._tier = tier
        self._when_found = when_found

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Judge what was written of a shadowed iteration.

        Raises:
            SeenEnoughError: the run has nothing more to show; never after its last iteration.
        """
        if runner.iter not in self._iterations or runner.iter + 1 >= runner.max_iters:
            return
        is_last = runner.iter == max(self._iterations)
        if is_last or (self._when_found and self._found()):
            raise SeenEnoughError(whole=is_last)

    def _found(self) -> bool:
        return bool(weigh_shadow(read_shadow(shadow_files(self._folder)), self._tier).violations)
