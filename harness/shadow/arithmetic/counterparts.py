"""The host's counterpart of a device's operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from harness.devices.device_registry import type_of_kind
from harness.shadow.arithmetic.fused_attention import FUSED, compute_attention
from harness.shadow.arithmetic.host import tensors_of
from harness.shadow.arithmetic.kinds import Operation
from harness.shadow.arithmetic.results import MEAN
from harness.shadow.arithmetic.synchronized import SYNCHRONIZED

__all__ = ["as_compared", "compute_on_host", "with_weight_due"]

_aten = torch.ops.aten


def compute_on_host(op: Any, operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
    """What the host makes of a call, and why it can't where it can't.

    Args:
        op: the operation that the device ran.
        operation: what its schema says.
        args: positional arguments on the host; those that the operation writes are written.
        kwargs: keyword arguments on the host.

    Returns:
        The result and an empty reason, or None and the reason.
    """
    counterpart: Callable[..., Any] = _COUNTERPARTS.get(operation.name, op)
    try:
        if operation.name.startswith(FUSED):
            return compute_attention(op, args, kwargs), ""
        return counterpart(*args, **kwargs), ""
    except NotImplementedError as failure:
        said = str(failure).splitlines()[:1]
        return None, said[0] if said and said[0].startswith("it ") else "the host has no such operation"
    except (RuntimeError, TypeError, ValueError, IndexError) as failure:
        return None, f"the host refuses it in float64: {str(failure).splitlines()[0][:120]}"


def with_weight_due(operation: Operation, args: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """The arguments of a loss's backward by the total weight that is due, where a device keeps another for itself.

    Args:
        operation: any; only a loss's backward has a total weight.
        args: positional arguments on the host.
        given: the same as the device had them.
    """
    if operation.name not in _LOSS_BACKWARDS:
        return list(args)
    device = next(tensors_of(given)).device
    if type_of_kind(device.type).keeps_total_weight:
        return list(args)
    gradient, x, target, weight, reduction, ignored, total = args
    if reduction == MEAN:
        kept = target[target != ignored]
        due = kept.numel() if weight is None else weight[kept].sum()
        total = torch.as_tensor(due, dtype=total.dtype).reshape(total.shape)
    return [gradient, x, target, weight, reduction, ignored, total]


def as_compared(operation: Operation, args: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """The arguments of a comparison with a number as PyTorch compares them: the number is one of the tensor's dtype.

    A value of 0.1 in bfloat16 is 0.10009766, and not above the number 0.1, which is rounded alike.

    Args:
        operation: any; only comparisons are changed.
        args: positional arguments on the host, in float64.
        given: the same as the device had them.
    """
    if operation.name.removesuffix("_") not in _COMPARISONS or not isinstance(given[0], torch.Tensor):
        return list(args)
    x, other = given[0], args[1]
    if not x.is_floating_point():
        return list(args)
    if isinstance(given[1], torch.Tensor) and not x.dim() and given[1].dim() and given[1].is_floating_point():
        return [args[0].to(given[1].dtype).to(args[0].dtype), *args[1:]]
    if isinstance(other, float):
        return [args[0], float(torch.tensor(other, dtype=x.dtype)), *args[2:]]
    if isinstance(other, torch.Tensor) and not other.dim() and x.dim() and other.is_floating_point():
        return [args[0], other.to(x.dtype).to(other.dtype), *args[2:]]
    return list(args)


_COMPARISONS = frozenset({"gt", "ge", "lt", "le", "eq", "ne"})

_LOSS_BACKWARDS = frozenset({"nll_loss_backward", "nll_loss2d_backward"})


def _cudnn_batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float, eps: float
) -> Any:
    return (*_aten.native_batch_norm(x, weight, bias, mean, variance, training, momentum, eps), None)


def _cudnn_batch_norm_backward(
    x: Any, gradient: Any, weight: Any, mean: Any, variance: Any, saved: Any, deviation: Any, eps: float, _: Any
) -> Any:
    return _aten.native_batch_norm_backward(
        gradient, x, weight, mean, variance, saved, deviation, True, eps, [True, True, True]
    )


def _cudnn_convolution(x: Any, weight: Any, padding: Any, stride: Any, dilation: Any, groups: int, *_: Any) -> Any:
    return _aten.convolution(x, weight, None, stride, padding, dilation, False, [0, 0], groups)


def _batch_norm_with_update(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float
) -> Any:
    return (*_aten.native_batch_norm(x, weight, bias, mean, variance, True, momentum, eps), None)


def _unscale(gradients: Sequence[torch.Tensor], found: torch.Tensor, inverse: torch.Tensor) -> None:
    """`_amp_foreach_non_finite_check_and_unscale_`, which the host has in float32 only."""
    for gradient in gradients:
        if not bool(torch.isfinite(gradient).all()):
            found.fill_(1.0)
        gradient.mul_(inverse)


def _update_scale(
    scale: torch.Tensor,
    tracker: torch.Tensor,
    found: torch.Tensor,
    growth: float,
    backoff: float,
    interval: int,
) -> torch.Tensor:
    """`_amp_update_scale_`, which the host has in float32 only."""
    if float(found):
        scale.mul_(backoff)
        tracker.zero_()
    elif int(tracker) + 1 == interval:
        if bool(torch.isfinite((scale * growth).float()).all()):
            scale.mul_(growth)
        tracker.zero_()
    else:
        tracker.add_(1)
    return scale


def _max_pool(x: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False) -> Any:
    """XLA's, which keeps no indices."""
    return _aten.max_pool2d_with_indices(x, kernel, stride, padding, dilation, ceil)[0]


def _max_pool_backward(
    gradient: Any, x: Any, kernel: Any, stride: Any = (), padding: Any = 0, ceil: bool = False
) -> torch.Tensor:
    indices = _aten.max_pool2d_with_indices(x, kernel, stride, padding, 1, ceil)[1]
    back: torch.Tensor = _aten.max_pool2d_with_indices_backward(
        gradient, x, kernel, stride, padding, (1, 1), ceil, indices
    )
    return back


def _view_as_copy(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return x.reshape(tuple(size))


_COUNTERPARTS: dict[str, Callable[..., Any]] = {
    "cudnn_batch_norm": _cudnn_batch_norm,
    "cudnn_batch_norm_backward": _cudnn_batch_norm_backward,
    "_batch_norm_with_update": _batch_norm_with_update,
    "cudnn_convolution": _cudnn_convolution,
    "_amp_foreach_non_finite_check_and_unscale_": _unscale,
    "_amp_update_scale_": _update_scale,
    "max_pool2d_forward": _max_pool,
    "max_pool2d_backward": _max_pool_backward,
    **SYNCHRONIZED,
    "view": _view_as_copy,
    "_unsafe_view": _view_as_copy,
}
