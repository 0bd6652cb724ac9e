"""The host's copy of a call's inputs: in float64 to compute with, or as they are to compare bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

__all__ = ["as_is", "change_tensors", "in_double", "map_tensors", "tensors_of"]

_WIDER = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
    torch.complex32: torch.complex128,
}

_Tensor = torch.Tensor


def in_double(value: Any) -> Any:
    """A call's argument with every floating tensor copied to the host in float64; a dtype asked for is widened too."""
    if isinstance(value, torch.dtype):
        return _WIDER.get(value, value)
    return map_tensors(value, _widened)


def as_is(value: Any) -> Any:
    """A call's argument with every tensor copied to the host, strides kept."""
    return map_tensors(value, _copied)


def map_tensors(value: Any, change: Callable[[_Tensor], _Tensor]) -> Any:
    """An argument with every tensor in it changed, however it is nested; devices become the host."""
    if isinstance(value, _Tensor):
        return change(value)
    if isinstance(value, PackedSequence):  # how many sequences are as long is read on the host, wherever the data is
        indices = (map_tensors(each, change) for each in (value.sorted_indices, value.unsorted_indices))
        return PackedSequence(change(value.data), value.batch_sizes, *indices)
    if isinstance(value, (list, tuple)):
        changed = [map_tensors(element, change) for element in value]
        return type(value)(*changed) if hasattr(value, "_fields") else type(value)(changed)
    if isinstance(value, dict):
        return {name: map_tensors(element, change) for name, element in value.items()}
    return torch.device("cpu") if isinstance(value, torch.device) else value


def change_tensors(value: Any, change: Callable[[_Tensor], _Tensor]) -> Any:
    """``map_tensors``, but where a device is an argument it stays what it is."""
    return value if isinstance(value, torch.device) else map_tensors(value, change)


def tensors_of(value: Any) -> Iterator[_Tensor]:
    """The tensors in a call's argument or result, in order."""
    if isinstance(value, _Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from tensors_of(element)
    elif isinstance(value, dict):
        yield from tensors_of(list(value.values()))


def are_finite(value: Any) -> bool:
    """Whether every element of every floating or complex tensor in an argument, or in all of them, is finite."""
    numbers = (tensor for tensor in tensors_of(value) if tensor.is_floating_point() or tensor.is_complex())
    return all(bool(tensor.isfinite().all()) for tensor in numbers)


def _widened(tensor: _Tensor) -> _Tensor:
    host = tensor.detach().cpu()
    wide = _WIDER.get(host.dtype)
    if wide is not None:
        return host.to(wide)
    return host.clone() if host is tensor or tensor.is_cpu else host


def _copied(tensor: _Tensor) -> _Tensor:
    """An overlapping or strided tensor keeps its layout, so that the host meets what the device met."""
    host = tensor.detach().cpu()
    return host.clone() if tensor.is_cpu else host
