"""What several faults share: which call of an iteration this is, and what the same call gave last time."""

from __future__ import annotations

from typing import Any

from harness.recording.clock import current_iteration

__all__ = ["CallCounter", "LastTime"]


class CallCounter:
    """Numbers the calls of an operation from 0 in each iteration, so that one layer can be told from another."""

    def __init__(self) -> None:
        self._iteration = -1
        self._next = 0

    def number(self) -> int:
        """The number of this call; asking counts it."""
        if self._iteration != current_iteration():
            self._iteration, self._next = current_iteration(), 0
        self._next += 1
        return self._next - 1


class LastTime:
    """Keeps a copy of what each call gave, for faults that hand out the value of an iteration before."""

    def __init__(self) -> None:
        self._kept: dict[int, Any] = {}

    def swap(self, call: int, tensor: Any) -> Any:
        """Keep a copy of `tensor` for that call; the copy from last time, or None where there is none of that shape."""
        old = self._kept.get(call)
        self._kept[call] = tensor.clone()
        return old if old is not None and old.shape == tensor.shape else None
