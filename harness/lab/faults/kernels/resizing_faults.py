"""Faults in upsampling and pooling.

Arguments are aten's: upsample_bilinear2d(x (N, C, H, W), size, align_corners, …) and its backward (grad, size,
input_size, align_corners, …); _adaptive_avg_pool2d(x, size) and its backward (grad, x).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault

__all__ = [
    "adaptive_bins_floored",
    "adaptive_pool_of_one_stride",
    "align_corners_flipped",
    "align_corners_flipped_backward",
    "align_corners_flipped_forward",
    "average_counts_padding",
    "bilinear_is_nearest",
    "border_gradient_lost",
    "gradient_to_first_maximum_lost",
    "half_pixel_lost",
    "maximum_pads_with_zero",
    "next_sample_read",
    "stale_on_fallback",
]


@KERNELS.strikes("align-corners-flipped")
def align_corners_flipped(fault: Fault) -> dict[str, Wrapper]:
    """`align_corners` negated in bilinear upsampling, forward and backward."""
    return align_corners_flipped_forward(fault) | align_corners_flipped_backward(fault)


@KERNELS.strikes("align-corners-flipped-forward")
def align_corners_flipped_forward(fault: Fault) -> dict[str, Wrapper]:
    """`align_corners` negated in the forward only."""

    def forward(run: Run, x: Any, size: Any, align_corners: bool, *scales: Any, **kwargs: Any) -> Any:
        return run(x, size, not align_corners, *scales, **kwargs)

    return {"upsample_bilinear2d": forward}


@KERNELS.strikes("align-corners-flipped-backward")
def align_corners_flipped_backward(fault: Fault) -> dict[str, Wrapper]:
    """`align_corners` negated in the backward only."""

    def backward(
        run: Run, grad: Any, size: Any, input_size: Any, align_corners: bool, *scales: Any, **kwargs: Any
    ) -> Any:
        return run(grad, size, input_size, not align_corners, *scales, **kwargs)

    return {"upsample_bilinear2d_backward": backward}


@KERNELS.strikes("bilinear-is-nearest")
def bilinear_is_nearest(fault: Fault) -> dict[str, Wrapper]:
    """Bilinear upsampling takes the nearest pixel in the forward; its backward stays bilinear."""

    def forward(run: Run, x: Any, size: Any, *rest: Any, **kwargs: Any) -> Any:
        return functional.interpolate(x, tuple(size), mode="nearest-exact")

    return {"upsample_bilinear2d": forward}


@KERNELS.strikes("bilinear-half-pixel-lost")
def half_pixel_lost(fault: Fault) -> dict[str, Wrapper]:
    """Output pixel i reads the input at i · scale and not at (i + ½) · scale − ½, in the forward, without corners."""

    def along(x: Any, axis: int, target: int) -> Any:
        length = x.shape[axis]
        source = torch.arange(target, dtype=torch.float64) * length / target
        low = source.long()
        share = (source - low).to(x.dtype).view([-1 if axis == n else 1 for n in range(4)]).to(x.device)
        low = low.to(x.device)
        return x.index_select(axis, low).lerp(x.index_select(axis, (low + 1).clamp(max=length - 1)), share)

    def forward(run: Run, x: Any, size: Any, align_corners: bool, *scales: Any, **kwargs: Any) -> Any:
        if align_corners:
            return run(x, size, align_corners, *scales, **kwargs)
        return along(along(x, 2, size[0]), 3, size[1])

    return {"upsample_bilinear2d": forward}


@KERNELS.strikes("fallback-stale-copy")
def stale_on_fallback(fault: Fault) -> dict[str, Wrapper]:
    """Upsampling falls back to the host, and the copy that comes back is the last call's of that shape."""
    kept: dict[tuple[int, ...], Any] = {}

    def forward(run: Run, *args: Any, **kwargs: Any) -> Any:
        y = run(*args, **kwargs)
        old = kept.get(tuple(y.shape))
        kept[tuple(y.shape)] = y.clone()
        return y if old is None else old

    return {"upsample_bilinear2d": forward}


def _starts(length: int, bins: int) -> list[int]:
    return [bin_ * length // bins for bin_ in range(bins + 1)]


@KERNELS.strikes("adaptive-pool-bins-floored")
def adaptive_bins_floored(fault: Fault) -> dict[str, Wrapper]:
    """Adaptive average pooling ends each bin where the next begins: bins that should overlap don't."""

    def forward(run: Run, x: Any, size: Any) -> Any:
        rows, columns = _starts(x.shape[-2], size[0]), _starts(x.shape[-1], size[1])
        if size[0] > x.shape[-2] or size[1] > x.shape[-1]:
            return run(x, size)
        y = x.new_empty(*x.shape[:-2], *size)
        for i, j in ((i, j) for i in range(size[0]) for j in range(size[1])):
            y[..., i, j] = x[..., rows[i] : rows[i + 1], columns[j] : columns[j + 1]].mean((-2, -1))
        return y

    def backward(run: Run, grad: Any, x: Any) -> Any:
        size = grad.shape[-2:]
        rows, columns = _starts(x.shape[-2], size[0]), _starts(x.shape[-1], size[1])
        if size[0] > x.shape[-2] or size[1] > x.shape[-1]:
            return run(grad, x)
        dx = torch.zeros_like(x)
        for i, j in ((i, j) for i in range(size[0]) for j in range(size[1])):
            area = (rows[i + 1] - rows[i]) * (columns[j + 1] - columns[j])
            dx[..., rows[i] : rows[i + 1], columns[j] : columns[j + 1]] = grad[..., i : i + 1, j : j + 1] / area
        return dx

    return {"_adaptive_avg_pool2d": forward, "_adaptive_avg_pool2d_backward": backward}


@KERNELS.strikes("avg-pool-padding-counted")
def average_counts_padding(fault: Fault) -> dict[str, Wrapper]:
    """`count_include_pad` negated in average pooling, forward and backward."""

    def forward(
        run: Run,
        x: Any,
        kernel: Any,
        stride: Any = (),
        padding: Any = 0,
        ceil_mode: bool = False,
        counts: bool = True,
        divisor: int | None = None,
    ) -> Any:
        return run(x, kernel, stride, padding, ceil_mode, not counts, divisor)

    def backward(
        run: Run,
        grad: Any,
        x: Any,
        kernel: Any,
        stride: Any,
        padding: Any,
        ceil: bool,
        counts: bool,
        divisor: int | None,
    ) -> Any:
        return run(grad, x, kernel, stride, padding, ceil, not counts, divisor)

    return {"avg_pool2d": forward, "avg_pool2d_backward": backward}


@KERNELS.strikes("max-pool-gradient-overwritten")
def gradient_to_first_maximum_lost(fault: Fault) -> dict[str, Wrapper]:
    """Where windows of max pooling share a maximum, only one of their gradients arrives."""

    def backward(run: Run, grad: Any, x: Any, *settings: Any) -> Any:
        indices = settings[-1]
        dx = torch.zeros_like(x).flatten(-2)
        return dx.scatter_(-1, indices.flatten(-2), grad.flatten(-2)).view_as(x)

    return {"max_pool2d_with_indices_backward": backward}


@KERNELS.strikes("max-pool-pads-with-zero")
def maximum_pads_with_zero(fault: Fault) -> dict[str, Wrapper]:
    """Max pooling pads with zero: no maximum of a window that reaches over the edge is below it."""

    def forward(
        run: Run, x: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False
    ) -> Any:
        y, indices = run(x, kernel, stride, padding, dilation, ceil)
        rows, columns = (padding, padding) if isinstance(padding, int) else (padding[0], padding[-1])
        frame = functional.pad(torch.zeros_like(x), (columns, columns, rows, rows), value=1.0)
        over_edge = functional.max_pool2d(frame, kernel, stride or None, 0, dilation, ceil) > 0
        return torch.where(over_edge, y.clamp(min=0), y), indices

    return {"max_pool2d_with_indices": forward}


@KERNELS.strikes("adaptive-pool-of-one-stride")
def adaptive_pool_of_one_stride(fault: Fault) -> dict[str, Wrapper]:
    """Adaptive average pooling is average pooling with one kernel and one stride, whether they divide or not."""

    def window(length: int, bins: int) -> tuple[int, int]:
        stride = length // bins
        return length - (bins - 1) * stride, stride

    def divides(x: Any, size: Any) -> bool:
        return not (x.shape[-2] % size[0] or x.shape[-1] % size[1])

    def geometry(x: Any, size: Any) -> tuple[list[int], list[int]]:
        kernel, stride = zip(
            *(window(length, bins) for length, bins in zip(x.shape[-2:], size, strict=True)), strict=True
        )
        return list(kernel), list(stride)

    def forward(run: Run, x: Any, size: Any) -> Any:
        if size[0] > x.shape[-2] or size[1] > x.shape[-1] or divides(x, size):
            return run(x, size)
        return functional.avg_pool2d(x, *geometry(x, size))

    def backward(run: Run, grad: Any, x: Any) -> Any:
        size = grad.shape[-2:]
        if size[0] > x.shape[-2] or size[1] > x.shape[-1] or divides(x, size):
            return run(grad, x)
        return torch.ops.aten.avg_pool2d_backward(grad, x, *geometry(x, size), [0, 0], False, True, None)

    return {"_adaptive_avg_pool2d": forward, "_adaptive_avg_pool2d_backward": backward}


def _beyond(length: int, target: int) -> Any:
    """How far each of `target` output pixels lies outside the centres of `length` input pixels; corners aren't aligned.

    Below zero before the first centre, above zero past the last.
    """
    source = (torch.arange(target) + 0.5) * length / target - 0.5
    return source - source.clamp(0, length - 1)


@KERNELS.strikes("upsample-reads-next-sample")
def next_sample_read(fault: Fault) -> dict[str, Wrapper]:
    """The lowest rows of an upsampled map blend into the first row of the next sample, which comes next in memory."""

    def forward(run: Run, x: Any, size: Any, align_corners: bool, *scales: Any, **kwargs: Any) -> Any:
        y = run(x, size, align_corners, *scales, **kwargs)
        share = _beyond(x.shape[-2], size[0])
        rows = (share > 0).nonzero().flatten()
        if align_corners or len(x) < 2 or not len(rows):
            return y
        last, following = (run(row, [1, size[1]], False) for row in (x[:-1, :, -1:], x[1:, :, :1]))
        y = y.clone()
        y[:-1, :, rows] = last.lerp(following, share[rows].view(-1, 1).to(y.dtype))
        return y

    return {"upsample_bilinear2d": forward}


@KERNELS.strikes("upsample-gradient-border-lost")
def border_gradient_lost(fault: Fault) -> dict[str, Wrapper]:
    """Output pixels outside the input's outermost centres lose the share of their gradient that should be clamped."""

    def backward(
        run: Run, grad: Any, size: Any, input_size: Any, align_corners: bool, *scales: Any, **kwargs: Any
    ) -> Any:
        if not align_corners:
            rows, columns = (1 - _beyond(input_size[axis], size[axis - 2]).abs() for axis in (2, 3))
            grad = grad * (rows.view(-1, 1) * columns).to(grad.dtype)
        return run(grad, size, input_size, align_corners, *scales, **kwargs)

    return {"upsample_bilinear2d_backward": backward}
