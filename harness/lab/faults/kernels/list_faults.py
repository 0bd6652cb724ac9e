"""Faults in operations on lists of tensors, by which an optimizer steps all parameters at once."""

from __future__ import annotations

from typing import Any

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault

__all__ = ["last_slot_skipped"]


@KERNELS.strikes("foreach-last-slot-skipped")
def last_slot_skipped(fault: Fault) -> dict[str, Wrapper]:
    """A product over a list of tensors in place, which decays momentum, leaves out every severity-th of them."""

    def multiply(run: Run, tensors: Any, factor: Any) -> Any:
        launch = round(fault.severity or 1)
        kept = [index for index in range(len(tensors)) if (index + 1) % launch]
        one_each = isinstance(factor, (list, tuple))
        return run([tensors[index] for index in kept], [factor[index] for index in kept] if one_each else factor)

    return {"_foreach_mul_": multiply}
