"""Backward on the calling thread.

PyTorch gives each accelerator device a thread for backward, and counts the devices once, at the first backward of a
process; of a Python backend it counts one. On the calling thread there is nothing to count: every device of the card
can run backward, at any time, and a forked worker can too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["register"]


def register() -> None:
    """Run every backward of this process so; those of the host always did."""
    graph: Any = torch.autograd.graph
    autograd: Any = torch.autograd
    autograd._engine_run_backward = graph._engine_run_backward = _here(graph._engine_run_backward)


def _here(run: Callable[..., Any]) -> Callable[..., Any]:
    def run_backward(*args: Any, **kwargs: Any) -> Any:
        with torch.autograd.set_multithreading_enabled(False):
            return run(*args, **kwargs)

    return run_backward
