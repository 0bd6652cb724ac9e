"""Whether shadow ops name a fault rightly: the operation that it changes, and the module where it strikes one alone."""

from __future__ import annotations

from harness.lab.faults.fault import Fault
from harness.shadow.evidence.checks import Part, ShadowRecord, ShadowRow

__all__ = ["is_named_by"]

_FOURTH_CALL = 3

_PARTS = {
    "optimizer": frozenset({Part.OPTIMIZER}),
    "schedule": frozenset({Part.OPTIMIZER}),
    "data": frozenset({Part.TRANSFER}),
    "model": frozenset({Part.LOSS}),
}
"""Layer that a fault outside of kernels strikes → the part of the step where it shows."""


def is_named_by(fault: Fault, row: ShadowRow, record: ShadowRecord) -> bool:
    """Whether a violation says what the fault does.

    The operation is right where the fault changes that operation's kernel, or, for a fault outside of kernels, where
    it shows in the part of the step that the fault strikes. The module is right where the fault strikes every module
    that has the operation, or else this one.

    Args:
        fault: of the catalogue.
        row: the worst violation of the run's first violated iteration.
        record: of the same run, which says which module made which call.
    """
    if fault.in_kernels:
        operation_is_right = _plain(row.op) in {_plain(name) for name in fault.kernels()}
    else:
        operation_is_right = row.part in _PARTS.get(fault.strikes, frozenset())
    return operation_is_right and (not fault.layer or row.module == _struck_module(fault, row.iteration, record))


def _struck_module(fault: Fault, iteration: int, record: ShadowRecord) -> str | None:
    """The module of the only layer that a fault strikes; None where the record hasn't it."""
    checks = [check for check in record.checks if check.iteration == iteration]
    if fault.layer == "middle weight":
        weights = [check for check in checks if check.part is Part.OPTIMIZER and check.tensor.endswith(" update")]
        modules = [check.module for check in weights if len(check.shape) > 1]
        return modules[len(modules) // 2] if modules else None
    calls = {check.call: check.module for check in checks if check.op == "convolution_backward"}
    order = sorted(calls)
    return calls[order[_FOURTH_CALL]] if len(order) > _FOURTH_CALL else None


def _plain(operation: str) -> str:
    """In place or not, it is the same kernel."""
    return operation.rstrip("_")
