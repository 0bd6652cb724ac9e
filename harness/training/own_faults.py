"""Faults in a training of a user's own: those of kernels are the device's, those of an optimizer are put in here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from harness.training.own_loop import OwnTraining
from harness.values.errors import DeviceError

__all__ = ["attach_fault"]


class _Target:
    """What a fault of an optimizer asks of mmengine's Runner, answered for the first optimizer of a training."""

    def __init__(self, training: OwnTraining) -> None:
        self._training = training
        optimizer = training.optimizers[0]
        self.model = training.model
        self.optim_wrapper = SimpleNamespace(optimizer=optimizer, param_groups=optimizer.param_groups)

    @property
    def iter(self) -> int:
        return self._training.iteration

    def register_hook(self, hook: Any, priority: str) -> None:
        """A fault that acts when the training has been built: it has."""
        hook.before_train(self)


def attach_fault(fault: Any, training: OwnTraining) -> None:
    """Put a fault into a training that has been built; one of kernels is in the device already.

    Raises:
        DeviceError: it acts on what only mmengine's Runner has.
    """
    if fault.in_kernels and not fault.needs:
        return
    if fault.strikes != "optimizer" or fault.needs:
        raise DeviceError(
            "this fault acts on mmengine's Runner: a loop of your own takes faults of kernels and of optimizers",
            where=f"--fault {fault.name}",
            observed=fault.strikes,
            hint="align faults",
        )
    fault.attach(_Target(training))
