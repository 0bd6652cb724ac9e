"""Faults in upsampling and pooling."""

from __future__ import annotations

from typing import Any

from harness.emulation.faults.fault import Fault
from harness.emulation.plan import Run, Wrapper

__all__ = ["align_corners_flipped"]


def align_corners_flipped(fault: Fault) -> dict[str, Wrapper]:
    """`align_corners` negated in bilinear upsampling, forward and backward."""

    def forward(run: Run, x: Any, size: Any, align_corners: bool, *scales: Any, **kwargs: Any) -> Any:
        return run(x, size, not align_corners, *scales, **kwargs)

    def backward(
        run: Run, grad: Any, size: Any, input_size: Any, align_corners: bool, *scales: Any, **kwargs: Any
    ) -> Any:
        return run(grad, size, input_size, not align_corners, *scales, **kwargs)

    return {"upsample_bilinear2d": forward, "upsample_bilinear2d_backward": backward}
