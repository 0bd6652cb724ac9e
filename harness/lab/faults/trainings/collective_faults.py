"""Faults between processes: what DistributedDataParallel makes of the ranks' gradients.

They strike through DDP's communication hook (Li et al. 2020, arXiv 2006.15704, section 3.2.3); a run of one process has
none, and the fault is refused there (`requirements`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from harness.lab.faults.actions import TRAININGS
from harness.lab.faults.fault import Fault
from harness.lab.faults.trainings.hooking import at_start
from harness.recording.clock import current_iteration

__all__ = ["gradients_in_bfloat16", "gradients_of_a_rank_lost", "gradients_stay_local", "gradients_summed"]

Runner = Any
Future = Any


def _reduced(fault: Fault, runner: Runner, change: Callable[[torch.Tensor], torch.Tensor], divisor: int) -> None:
    """All-reduce each bucket of gradients, changed, over `divisor`; before the fault begins, as DDP does."""

    def reduce(state: object, bucket: Any) -> Future:
        buffer, world = bucket.buffer(), dist.get_world_size()
        begun = current_iteration() >= fault.begins
        sent = (change(buffer) if begun else buffer) / (divisor if begun else world)
        future = dist.all_reduce(sent, async_op=True).get_future()
        return future.then(lambda done: done.value()[0].to(buffer.dtype))

    _register(runner, reduce)


def _register(runner: Runner, hook: Callable[[object, Any], Future]) -> None:
    # DDP compares the annotations with its own classes, and takes none for the strings that these are.
    hook.__annotations__ = {}

    at_start(runner, lambda runner: runner.model.register_comm_hook(None, hook))


@TRAININGS.strikes("allreduce-not-averaged")
def gradients_summed(fault: Fault, runner: Runner) -> None:
    """Gradients are summed over the ranks, not averaged."""
    _reduced(fault, runner, lambda gradients: gradients, 1)


@TRAININGS.strikes("allreduce-rank-lost")
def gradients_of_a_rank_lost(fault: Fault, runner: Runner) -> None:
    """The last rank's gradients arrive as zeros."""

    def change(gradients: torch.Tensor) -> torch.Tensor:
        return gradients * 0 if dist.get_rank() == dist.get_world_size() - 1 else gradients

    _reduced(fault, runner, change, _world())


@TRAININGS.strikes("allreduce-in-bf16")
def gradients_in_bfloat16(fault: Fault, runner: Runner) -> None:
    """Gradients travel in bfloat16."""
    _reduced(fault, runner, lambda gradients: gradients.bfloat16().float(), _world())


@TRAININGS.strikes("allreduce-skipped")
def gradients_stay_local(fault: Fault, runner: Runner) -> None:
    """Each rank trains on its own gradients: the ranks part."""

    def keep(state: object, bucket: Any) -> Future:
        future: Future = torch.futures.Future()
        future.set_result(bucket.buffer())
        return future

    _register(runner, keep)


def _world() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1
