"""The signature of a call: what a kernel is chosen by."""

from __future__ import annotations

from typing import Any

import torch

from harness.shadow.arithmetic.call import Call, dtype_name
from harness.shadow.arithmetic.kinds import without_place
from harness.shadow.evidence.call_signature import CallSignature, Option, TensorSignature

__all__ = ["sign_call"]


_SIGNED = 4  # tensors of a list: more are an optimizer's, whose updates are told by their parameters


def sign_call(call: Call) -> CallSignature:
    """Shapes, formats, layouts and options of a call, its defaults too: a kernel meets these, given or not."""
    positional, keywords = call.given
    given = dict(zip(call.operation.arguments, positional))  # noqa: B905  # defaults may be left out
    given |= without_place(dict(keywords))
    for argument in call.op._schema.arguments:
        if argument.has_default_value():
            given.setdefault(argument.name, argument.default_value)
    given = without_place(given)
    tensors: list[TensorSignature] = []
    options: dict[str, Option] = {}
    for name, value in given.items():
        if isinstance(value, torch.Tensor):
            tensors.append(_sign(name, value))
        elif isinstance(value, (list, tuple)) and any(isinstance(each, torch.Tensor) for each in value):
            options[f"number of {name}"] = len(value)
            tensors += [_sign(name, each) for each in value[:_SIGNED] if isinstance(each, torch.Tensor)]
        else:
            options[name] = _plain(value)
    return CallSignature(tuple(tensors), options)


def _sign(name: str, tensor: torch.Tensor) -> TensorSignature:
    offset = int(tensor.storage_offset()) if tensor.layout is torch.strided else 0
    return TensorSignature(name, tuple(tensor.shape), dtype_name(tensor.dtype), _layout(tensor), offset)


def _layout(tensor: torch.Tensor) -> str:
    if tensor.layout is not torch.strided:
        return str(tensor.layout).removeprefix("torch.")
    if tensor.is_contiguous():
        return "contiguous"
    for rank, memory_format in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if tensor.dim() == rank and tensor.is_contiguous(memory_format=memory_format):
            return "channels-last"
    axes = [(stride, size) for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]
    if any(stride == 0 for stride, _ in axes):
        return "expanded"
    expected = 1
    for stride, size in sorted(axes):
        if stride != expected:
            return "strided"
        expected *= size
    return "permuted"


def _plain(value: Any) -> Option:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(each, int) for each in value):
        return tuple(int(each) for each in value)
    return str(value)
