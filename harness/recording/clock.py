"""The iteration that the training loop is in, for faults that begin late.

The recorder sets it; kernels read it. It is the process's own and costs an attribute look-up.
"""

from __future__ import annotations

__all__ = ["current_iteration", "set_iteration"]


class _Clock:
    iteration = 0


def set_iteration(iteration: int) -> None:
    """Tell the emulated device which iteration, counted from 0, begins now."""
    _Clock.iteration = iteration


def current_iteration() -> int:
    """The iteration that was set last; 0 before the first."""
    return _Clock.iteration
