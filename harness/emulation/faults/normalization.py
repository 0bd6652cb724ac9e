"""Faults in batch normalization."""

from __future__ import annotations

from typing import Any

from harness.emulation.faults.fault import Fault
from harness.emulation.plan import Run, Wrapper

__all__ = ["momentum_ignored"]


def momentum_ignored(fault: Fault) -> dict[str, Wrapper]:
    """The running statistics are updated with momentum 0, in one process and over several."""

    def native_batch_norm(
        run: Run, x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
    ) -> Any:
        return run(x, weight, bias, mean, var, training, 0.0, eps)

    def gather_stats(
        run: Run, x: Any, means: Any, invstds: Any, mean: Any, var: Any, momentum: float, eps: float, counts: Any
    ) -> Any:
        return run(x, means, invstds, mean, var, 0.0, eps, counts)

    return {"native_batch_norm": native_batch_norm, "batch_norm_gather_stats_with_counts": gather_stats}
