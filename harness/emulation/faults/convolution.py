"""Faults in convolution and its gradients."""

from __future__ import annotations

from typing import Any

from harness.emulation.faults.fault import Fault
from harness.emulation.plan import Run, Wrapper

__all__ = ["weight_gradient_scaled"]


def weight_gradient_scaled(fault: Fault) -> dict[str, Wrapper]:
    """Every weight gradient × severity."""

    def convolution_backward(run: Run, *args: Any) -> tuple[Any, ...]:
        dx, dw, db = run(*args)
        return dx, None if dw is None else dw * fault.severity, db

    return {"convolution_backward": convolution_backward}
