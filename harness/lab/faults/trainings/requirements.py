"""What a fault needs to strike at all: refused where that is missing, since it would do nothing and count as missed."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

from harness.lab.emulation.installation import installed_device
from harness.lab.faults.fault import Fault
from harness.lab.faults.trainings.hooking import at_start, model_of
from harness.values.errors import DeviceError

__all__ = ["require", "strikes_here"]

Runner = Any
_TWO_PROCESSES = "add --launcher pytorch --nproc-per-node 2"


def strikes_here(fault: Fault) -> bool:
    """Whether this process's device is the one that the fault strikes.

    Raises:
        DeviceError: it strikes one device alone, and this process has no emulated one.
    """
    if fault.card is None:
        return True
    device = installed_device()
    if device is None:
        raise DeviceError(
            "a fault of one card can only be put into the emulated device",
            where=f"--fault {fault}",
            hint="--device emulated --each-device",
        )
    return device.card.current.number == fault.card


def require(fault: Fault, runner: Runner) -> None:
    """Have what the fault needs looked for when training starts; a DeviceError is raised then where it is missing."""
    checks = {"loss scale": _loss_scale, "processes": _processes, "SyncBN": _synchronized_batch_norm}
    if fault.needs:
        at_start(runner, lambda runner: checks[fault.needs](fault, runner))


def _loss_scale(fault: Fault, runner: Runner) -> None:
    scaler = getattr(runner.optim_wrapper, "loss_scaler", None)
    if scaler is None or not scaler.is_enabled():
        raise DeviceError(
            "this fault needs a loss scale to strike",
            where=f"--fault {fault.name}",
            observed=f"{type(runner.optim_wrapper).__name__} without one",
            allowed="training in float16",
            hint="add --amp",
        )


def _processes(fault: Fault, runner: Runner) -> None:
    if not hasattr(runner.model, "register_comm_hook"):
        raise DeviceError(
            "this fault strikes between processes, and there is one",
            where=f"--fault {fault.name}",
            observed=type(runner.model).__name__,
            allowed="DistributedDataParallel",
            hint=_TWO_PROCESSES,
        )


def _synchronized_batch_norm(fault: Fault, runner: Runner) -> None:
    model = model_of(runner)
    processes = dist.get_world_size() if dist.is_initialized() else 1
    layers = sum(isinstance(module, torch.nn.SyncBatchNorm) for module in model.modules())
    if processes < 2 or not layers:
        raise DeviceError(
            "this fault strikes statistics that processes share, and there are none",
            where=f"--fault {fault.name}",
            observed=f"SyncBN layers in {type(model).__name__}: {layers}, processes: {processes}",
            allowed="a model with SyncBN, two processes or more",
            hint="--cfg-options model.norm_cfg.type=SyncBN" if processes > 1 else _TWO_PROCESSES,
        )
