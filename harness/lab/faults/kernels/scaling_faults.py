"""Faults in loss scaling.

Arguments are aten's: _amp_foreach_non_finite_check_and_unscale_(gradients, found_inf, inverse_scale) and
_amp_update_scale_(scale, growth_tracker, found_inf, growth, backoff, interval).
"""

from __future__ import annotations

from typing import Any

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault

__all__ = ["infinity_unseen", "never_backs_off", "unscaling_forgotten"]

_UNSCALE = "_amp_foreach_non_finite_check_and_unscale_"


@KERNELS.strikes("loss-scale-inf-unseen")
def infinity_unseen(fault: Fault) -> dict[str, Wrapper]:
    """A gradient that isn't finite isn't found: the optimizer steps on it."""

    def unscale(run: Run, gradients: Any, found: Any, inverse: Any) -> Any:
        before = found.clone()
        run(gradients, found, inverse)
        found.copy_(before)

    return {_UNSCALE: unscale}


@KERNELS.strikes("loss-scale-not-undone")
def unscaling_forgotten(fault: Fault) -> dict[str, Wrapper]:
    """Gradients stay multiplied by the loss scale."""

    def unscale(run: Run, gradients: Any, found: Any, inverse: Any) -> Any:
        return run(gradients, found, inverse.new_ones(inverse.shape))

    return {_UNSCALE: unscale}


@KERNELS.strikes("loss-scale-never-backs-off")
def never_backs_off(fault: Fault) -> dict[str, Wrapper]:
    """The scale doesn't shrink after an overflow."""

    def update(run: Run, scale: Any, tracker: Any, found: Any, growth: float, backoff: float, interval: int) -> Any:
        return run(scale, tracker, found, growth, 1.0, interval)

    return {"_amp_update_scale_": update}
