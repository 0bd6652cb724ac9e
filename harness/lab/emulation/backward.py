"""Backward on the calling thread.

PyTorch gives each accelerator device a thread for backward, and counts the devices once, at the first backward of a
process; of a Python backend it counts one. On the calling thread there is nothing to count, so that every device of
the card can run backward, whatever ran before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.values.errors import DeviceError

__all__ = ["register"]


def register() -> None:
    """Run every backward of this process so; those of the host always did."""
    graph: Any = torch.autograd.graph
    autograd: Any = torch.autograd
    autograd._engine_run_backward = graph._engine_run_backward = _here(graph._engine_run_backward)


def _here(run: Callable[..., Any]) -> Callable[..., Any]:
    def run_backward(*args: Any, **kwargs: Any) -> Any:
        try:
            with torch.autograd.set_multithreading_enabled(False):
                return run(*args, **kwargs)
        except RuntimeError as error:
            if "fork-based multiprocessing" not in str(error):
                raise
            raise DeviceError(
                "a forked process can't run backward where its parent has",
                where="torch.autograd",
                allowed="forward in forked processes, backward in spawned ones",
                hint='torch.multiprocessing.get_context("spawn")',
            ) from error

    return run_backward
