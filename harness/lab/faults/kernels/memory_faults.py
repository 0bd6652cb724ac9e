"""Faults of memory: bits, races, tails, layouts and indices."""

from __future__ import annotations

from typing import Any

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault
from harness.lab.faults.kernels.call_counts import CallCounter, LastTime
from harness.recording.clock import current_iteration

__all__ = [
    "bit_flipped",
    "elements_raced",
    "index_overflowed",
    "read_as_contiguous",
    "tail_channel_unwritten",
    "tail_column_unwritten",
    "tail_of_sum_unread",
]

_SEED = 20


@KERNELS.strikes("bit-flip-high", "bit-flip-low-exponent", "bit-flip-mantissa")
def bit_flipped(fault: Fault) -> dict[str, Wrapper]:
    """Once, in the iteration that the fault begins at, one bit, the severity, flips in the middle of an activation."""
    calls = CallCounter()

    def convolution(run: Run, *args: Any) -> Any:
        y = run(*args)
        if calls.number() == 0 and current_iteration() == fault.begins and y.dtype is torch.float32:
            y = y.clone()
            bits = y.view(torch.int32).view(-1)
            bit = round(fault.severity or 0)
            # Bit 31 is the sign, which an int32 can't take as a shifted one.
            bits[len(bits) // 2] ^= (1 << bit) if bit < 31 else -(1 << 31)
        return y

    return {"convolution": convolution}


@KERNELS.strikes("race-1e-4", "race-1e-2")
def elements_raced(fault: Fault) -> dict[str, Wrapper]:
    """A share of each convolution's output elements, the severity, is the last iteration's."""
    calls, last = CallCounter(), LastTime()
    draws = torch.Generator().manual_seed(_SEED)

    def convolution(run: Run, *args: Any) -> Any:
        y = run(*args)
        old = last.swap(calls.number(), y)
        if old is None:
            return y
        raced = torch.rand(y.shape, generator=draws) < (fault.severity or 0)
        return torch.where(raced, old, y)

    return {"convolution": convolution}


@KERNELS.strikes("tail-column-unwritten")
def tail_column_unwritten(fault: Fault) -> dict[str, Wrapper]:
    """The last column of each convolution's output stays zero where the width is no multiple of the severity."""

    def convolution(run: Run, *args: Any) -> Any:
        y = run(*args)
        if y.shape[-1] > 1 and y.shape[-1] % round(fault.severity or 1):
            y = y.clone()
            y[..., -1] = 0
        return y

    return {"convolution": convolution}


@KERNELS.strikes("tail-channel-unwritten")
def tail_channel_unwritten(fault: Fault) -> dict[str, Wrapper]:
    """The last channel of each convolution's output stays zero where their number is no multiple of the severity."""

    def convolution(run: Run, *args: Any) -> Any:
        y = run(*args)
        if y.shape[1] > 1 and y.shape[1] % round(fault.severity or 1):
            y = y.clone()
            y[:, -1] = 0
        return y

    return {"convolution": convolution}


@KERNELS.strikes("sum-tail-unread")
def tail_of_sum_unread(fault: Fault) -> dict[str, Wrapper]:
    """Sums over all elements leave out the last one where their number is odd."""

    def total(run: Run, x: Any, *args: Any, **kwargs: Any) -> Any:
        over_all = not args or not args[0]
        odd = over_all and x.numel() > 1 and x.numel() % 2
        return run(x.flatten()[:-1] if odd else x, *args, **kwargs)

    return {"sum": total, "mean": total}


@KERNELS.strikes("bmm-reads-as-contiguous")
def read_as_contiguous(fault: Fault) -> dict[str, Wrapper]:
    """Batched products read a transposed operand in the order in which its elements lie in memory."""

    def misread(x: Any) -> Any:
        return x if x.is_contiguous() else x.transpose(-1, -2).reshape(x.shape)

    def bmm(run: Run, a: Any, b: Any) -> Any:
        return run(misread(a), misread(b))

    return {"bmm": bmm}


@KERNELS.strikes("index-overflow")
def index_overflowed(fault: Fault) -> dict[str, Wrapper]:
    """Upsampling writes no element past a flat index, the severity, as an index type that is too small would."""

    def forward(run: Run, *args: Any, **kwargs: Any) -> Any:
        y = run(*args, **kwargs).contiguous()
        limit = round(fault.severity or 0)
        if y.numel() > limit:
            y = y.clone()
            y.view(-1)[limit:] = 0
        return y

    return {"upsample_bilinear2d": forward}
