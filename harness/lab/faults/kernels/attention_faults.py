"""Faults in softmax and batched matrix products, which attention is made of.

Arguments are aten's: _softmax(x, dim, half_to_float) and its backward (grad, y, dim, dtype); bmm(a (B, M, K),
b (B, K, N)).
"""

from __future__ import annotations

from typing import Any

import torch

from harness.lab.emulation.dispatch_plan import Run, Wrapper
from harness.lab.faults.actions import KERNELS
from harness.lab.faults.fault import Fault

__all__ = [
    "batch_stride_lost",
    "gradient_without_sum",
    "last_key_unseen",
    "last_row_unwritten",
    "log_softmax_gradient_tail_unsummed",
    "log_softmax_without_maximum",
    "reads_past_the_sum",
    "scale_lost",
    "softmax_counts_padding",
    "softmax_in_half",
    "softmax_over_wrong_axis",
    "softmax_without_maximum",
]


def _is_attention(x: Any, dim: int) -> bool:
    """Affinities are (…, queries, keys), summed over one of the last two axes; class scores are (N, C, …)."""
    return bool(x.dim() >= 3 and dim % x.dim() >= x.dim() - 2)


@KERNELS.strikes("softmax-wrong-axis")
def softmax_over_wrong_axis(fault: Fault) -> dict[str, Wrapper]:
    """Attention is normalized over queries instead of keys, forward and backward."""

    def other(x: Any, dim: int) -> int:
        return 2 * x.dim() - 3 - dim % x.dim() if _is_attention(x, dim) else dim

    def forward(run: Run, x: Any, dim: int, *rest: Any) -> Any:
        return run(x, other(x, dim), *rest)

    def backward(run: Run, grad: Any, y: Any, dim: int, *rest: Any) -> Any:
        return run(grad, y, other(y, dim), *rest)

    return {"_softmax": forward, "_softmax_backward_data": backward}


@KERNELS.strikes("attention-scale-lost", "attention-scale-x1.1")
def scale_lost(fault: Fault) -> dict[str, Wrapper]:
    """Attention's affinities come severity times too large, as when 1/√d is forgotten; the backward agrees with it."""

    def forward(run: Run, x: Any, dim: int, *rest: Any) -> Any:
        return run(x * fault.severity if _is_attention(x, dim) else x, dim, *rest)

    def backward(run: Run, grad: Any, y: Any, dim: int, *rest: Any) -> Any:
        dx = run(grad, y, dim, *rest)
        return dx * fault.severity if _is_attention(y, dim) else dx

    return {"_softmax": forward, "_softmax_backward_data": backward}


@KERNELS.strikes("softmax-no-maximum")
def softmax_without_maximum(fault: Fault) -> dict[str, Wrapper]:
    """exp(x) / Σ exp(x): overflows past 88."""

    def forward(run: Run, x: Any, dim: int, *rest: Any) -> Any:
        powers = x.exp()
        return powers / powers.sum(dim, keepdim=True)

    return {"_softmax": forward}


@KERNELS.strikes("log-softmax-no-maximum")
def log_softmax_without_maximum(fault: Fault) -> dict[str, Wrapper]:
    """X − log Σ exp(x): overflows past 88."""

    def forward(run: Run, x: Any, dim: int, *rest: Any) -> Any:
        return x - x.exp().sum(dim, keepdim=True).log()

    return {"_log_softmax": forward}


@KERNELS.strikes("softmax-in-half")
def softmax_in_half(fault: Fault) -> dict[str, Wrapper]:
    """Softmax and log-softmax are computed in half precision."""

    def forward(run: Run, x: Any, dim: int, *rest: Any) -> Any:
        return run(x.half(), dim, False).to(x.dtype)

    return {"_softmax": forward, "_log_softmax": forward}


@KERNELS.strikes("softmax-gradient-no-sum")
def gradient_without_sum(fault: Fault) -> dict[str, Wrapper]:
    """Softmax's gradient is y g instead of y (g − Σ y g)."""

    def backward(run: Run, grad: Any, y: Any, *rest: Any) -> Any:
        return grad * y

    return {"_softmax_backward_data": backward}


@KERNELS.strikes("bmm-last-term-lost")
def last_key_unseen(fault: Fault) -> dict[str, Wrapper]:
    """Batched products leave out the last term of each sum."""

    def bmm(run: Run, a: Any, b: Any) -> Any:
        return run(a[..., :-1], b[..., :-1, :]) if a.shape[-1] > 1 else run(a, b)

    return {"bmm": bmm}


@KERNELS.strikes("bmm-last-row-zero")
def last_row_unwritten(fault: Fault) -> dict[str, Wrapper]:
    """Batched products leave the last row of each result at zero."""

    def bmm(run: Run, a: Any, b: Any) -> Any:
        y = run(a, b).clone()
        y[..., -1, :] = 0
        return y

    return {"bmm": bmm}


@KERNELS.strikes("softmax-counts-padding")
def softmax_counts_padding(fault: Fault) -> dict[str, Wrapper]:
    """Softmax and log-softmax sum over the zeros, too, that pad their axis to a multiple of the severity."""

    def logarithm(x: Any, dim: int) -> Any:
        padding = -x.shape[dim] % round(fault.severity or 1) if x.dim() else 0
        if not padding:
            return None
        total = x.logsumexp(dim, keepdim=True)
        return x - torch.logaddexp(total, torch.full_like(total, padding).log())

    def log_softmax(run: Run, x: Any, dim: int, *rest: Any) -> Any:
        y = logarithm(x, dim)
        return run(x, dim, *rest) if y is None else y

    def softmax(run: Run, x: Any, dim: int, *rest: Any) -> Any:
        y = logarithm(x, dim)
        return run(x, dim, *rest) if y is None else y.exp()

    return {"_softmax": softmax, "_log_softmax": log_softmax}


@KERNELS.strikes("log-softmax-gradient-tail-unsummed")
def log_softmax_gradient_tail_unsummed(fault: Fault) -> dict[str, Wrapper]:
    """Log-softmax's gradient sums over whole vectors of severity classes, and leaves out the classes past them."""

    def backward(run: Run, grad: Any, y: Any, dim: int, *rest: Any) -> Any:
        dx = run(grad, y, dim, *rest)
        tail = y.shape[dim] % round(fault.severity or 1) if y.dim() else 0
        if not tail:
            return dx
        return dx + y.exp() * grad.narrow(dim, y.shape[dim] - tail, tail).sum(dim, keepdim=True)

    return {"_log_softmax_backward_data": backward}


@KERNELS.strikes("bmm-reads-past-the-sum")
def reads_past_the_sum(fault: Fault) -> dict[str, Wrapper]:
    """Batched products sum over a multiple of severity terms: past the last, over what comes next in memory."""

    def extended(x: Any, extra: int, axis: int) -> Any:
        """X with `extra` more along the axis, each read where that many strides on would lie; zeros past the end."""
        batch, rows, columns = x.shape
        steps = columns if axis == 1 else 1
        memory = torch.cat([x.reshape(-1), x.new_zeros(extra * steps)])
        size = (batch, rows + extra, columns) if axis == 1 else (batch, rows, columns + extra)
        return memory.as_strided(size, (rows * columns, columns, 1))

    def bmm(run: Run, a: Any, b: Any) -> Any:
        extra = -a.shape[-1] % round(fault.severity or 1)
        return run(extended(a, extra, 2), extended(b, extra, 1)) if extra else run(a, b)

    return {"bmm": bmm}


@KERNELS.strikes("bmm-batch-stride-lost")
def batch_stride_lost(fault: Fault) -> dict[str, Wrapper]:
    """Batched products take the first matrix of their second operand for the whole batch."""

    def bmm(run: Run, a: Any, b: Any) -> Any:
        return run(a, b[:1].expand_as(b))

    return {"bmm": bmm}
