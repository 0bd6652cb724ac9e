"""The results of a call, each with a name: what it returned, and what it changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.devices.device_registry import type_of_kind
from harness.shadow.arithmetic.fused_attention import FUSED
from harness.shadow.arithmetic.host import tensors_of
from harness.shadow.arithmetic.kinds import Operation
from harness.shadow.arithmetic.measure import NOT_MEASURED, Distance

__all__ = ["MEAN", "Compared", "results_of"]

_GRADIENTS = ("input gradient", "weight gradient", "bias gradient")
_NORM = ("output", "saved mean", "saved inverse deviation")
_RETURNED: Mapping[str, tuple[str, ...]] = {
    "convolution_backward": _GRADIENTS,
    "native_batch_norm": _NORM,
    "cudnn_batch_norm": _NORM,
    "_native_batch_norm_legit": _NORM,
    "native_layer_norm": _NORM,
    "native_group_norm": _NORM,
    "native_batch_norm_backward": _GRADIENTS,
    "cudnn_batch_norm_backward": _GRADIENTS,
    "native_layer_norm_backward": _GRADIENTS,
    "native_group_norm_backward": _GRADIENTS,
    "batch_norm_stats": ("mean", "inverse deviation"),
    "batch_norm_gather_stats_with_counts": ("joint mean", "joint inverse deviation"),
    "batch_norm_backward_reduce": ("summed gradient", "summed moment", "weight gradient", "bias gradient"),
    "max_pool2d_with_indices": ("output", "indices"),
    "nll_loss2d_forward": ("output", "total weight"),
    "nll_loss_forward": ("output", "total weight"),
    "topk": ("output", "indices"),
}
_LOSSES = frozenset({"nll_loss_forward", "nll_loss2d_forward"})
MEAN = 1
"""PyTorch's number of the reduction whose backward divides by the total weight: no other reads it."""
_BOOKKEEPING = frozenset({"_embedding_bag", "_embedding_bag_forward_only", "_ctc_loss", "linalg_lstsq"})
"""Operations whose results but the first are kept for their own backward alone, each dtype's kernel in its own way; of
a table of sums over paths some places are never written, and what counts as zero in a rank depends on the dtype."""

_OF_ATTENTION = ("query gradient", "key gradient", "value gradient", "mask gradient")

_BUFFERS = frozenset({"running mean", "running var"})


@dataclass(frozen=True, slots=True)
class Compared:
    """One tensor of a call beside the host's, and what comparing the two found.

    Args:
        name: for a person.
        place: which of the returned tensors, or −1 for a changed argument.
        candidate: the candidate's.
        reference: the host's.
        is_buffer: whether it is a statistic that the model keeps.
        original: the argument itself where the call changed one: a parameter can be told by it.
        distance: how far one is from the other, once that is measured.
        scale: by how much a rounding of the inputs moves the result, as a check has it.
        along: likewise.
        stored: mantissa bits that it is stored with, where those are fewer than float64's result and the tier ask for.
    """

    name: str
    place: int
    candidate: torch.Tensor
    reference: torch.Tensor
    is_buffer: bool = False
    original: torch.Tensor | None = None
    distance: Distance = NOT_MEASURED
    scale: float = 1.0
    along: float = 0.0
    stored: int | None = None


def results_of(
    operation: Operation,
    returned: tuple[Any, Any],
    args: tuple[Sequence[Any], Sequence[Any]],
    kwargs: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> Iterator[Compared]:
    """Every tensor that a call returned or changed.

    Args:
        operation: the call's.
        returned: what the candidate's call and the host's call returned.
        args: positional arguments of both calls, after them.
        kwargs: keyword arguments of both calls, after them.
    """
    seen: set[int] = set()
    for name in (name for name in operation.arguments if name in operation.written):
        mine, theirs = _argument(operation, name, args[0], kwargs[0]), _argument(operation, name, args[1], kwargs[1])
        changed = list(zip(tensors_of(mine), tensors_of(theirs), strict=True))
        for number, (candidate, reference) in enumerate(changed):
            seen.add(id(candidate))
            label = "output" if name in {"self", "out"} else name.replace("_", " ")
            label = label if len(changed) == 1 else f"{label} {number}"
            yield Compared(label, -1, candidate, reference, label in _BUFFERS, candidate)
    names = _OF_ATTENTION if _is_attention_backward(operation.name) else _RETURNED.get(operation.name, ("output",))
    mine, theirs = _as_list(returned[0]), _as_list(returned[1])
    if operation.name in _BOOKKEEPING:
        mine, theirs = mine[:1], theirs[:1]
    for place, (candidate, reference) in enumerate(zip(mine, theirs, strict=True)):
        if place == 1 and operation.name in _LOSSES and not _is_read(operation, candidate, args[0], kwargs[0]):
            continue
        if isinstance(candidate, torch.Tensor) and isinstance(reference, torch.Tensor) and id(candidate) not in seen:
            yield Compared(names[place] if place < len(names) else f"output {place}", place, candidate, reference)


def _is_attention_backward(name: str) -> bool:
    return name.startswith(FUSED) and name.endswith("_backward")


def _is_read(operation: Operation, candidate: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a loss's total weight is read by a backward that trusts it."""
    known = type_of_kind(candidate.device.type).keeps_total_weight
    return known and _argument(operation, "reduction", args, kwargs) == MEAN


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _argument(operation: Operation, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if name in kwargs:
        return kwargs[name]
    place = operation.arguments.index(name)
    return args[place] if place < len(args) else None
