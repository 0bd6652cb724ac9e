"""A call as data, in the file of its inputs: to be asked again, and to be made smaller.

A reproduction's ``<n>.safetensors`` holds the tensors, and in its metadata under ``call`` all else: the operation, the
arguments with a name in place of each tensor, which result was wrong, and the device that it was wrong on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from harness.store.decoding import decode_value
from harness.values.bounds import Count
from harness.values.errors import RunError

__all__ = ["SCHEMA", "StoredCall", "argument_of", "laid_out", "plain_argument", "read_call"]

SCHEMA = 1

_NAMED = {
    "dtype": torch.dtype,
    "memory_format": torch.memory_format,
    "layout": torch.layout,
}
"""Kinds of arguments that torch has a name for."""


@dataclass(frozen=True)
class StoredCall:
    """A call of one operation that came out wrong, without its tensors.

    Args:
        op: with its namespace and overload: ``aten.convolution.default``.
        arguments: name → what ``plain_argument`` makes of it.
        strides: of the tensors that aren't contiguous.
        result: which of its results was wrong.
        part: of the step, by name: ``precision`` where its format was.
        module: that made the call; empty for none.
        iteration: of the run.
        tier: precision tier that it was judged at.
        device: as ``--device`` calls it.
        profile: of an emulated device.
        faults: that were put into an emulated device.
    """

    op: str
    arguments: Mapping[str, Any]
    strides: Mapping[str, tuple[Count, ...]]
    result: str
    part: str
    module: str
    iteration: Count
    tier: str
    device: str
    profile: str = ""
    faults: tuple[str, ...] = field(default=())


def plain_argument(value: Any, names: Mapping[int, str]) -> Any:
    """An argument as JSON holds it.

    Args:
        value: the argument.
        names: id of a tensor → its name among the inputs.

    Raises:
        ValueError: it can't be written down.
    """
    if isinstance(value, torch.Tensor):
        return {"tensor": names[id(value)]}
    if isinstance(value, (list, tuple)):
        return [plain_argument(element, names) for element in value]
    if isinstance(value, torch.device):
        return {"device": "cpu" if value.type == "cpu" else ""}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    for kind, known in _NAMED.items():
        if isinstance(value, known):
            return {kind: str(value).removeprefix("torch.")}
    raise ValueError(f"an argument of type {type(value).__name__} can't be written down")


def argument_of(plain: Any, tensors: Mapping[str, torch.Tensor], device: str) -> Any:
    """What ``plain_argument`` was given.

    Args:
        plain: what it made.
        tensors: by name.
        device: that stands where the call named the accelerator.

    Raises:
        ValueError: it made no such thing.
    """
    if isinstance(plain, list):
        return [argument_of(element, tensors, device) for element in plain]
    if not isinstance(plain, dict):
        return plain
    if len(plain) != 1:
        raise ValueError(f"no argument: {plain}")
    ((kind, value),) = plain.items()
    if kind == "tensor" and value in tensors:
        return tensors[value]
    if kind == "device" and value in ("cpu", ""):
        return torch.device(value or device)
    if kind == "float" and value in ("inf", "-inf", "nan"):
        return float(value)
    named = getattr(torch, str(value), None)
    if kind in _NAMED and isinstance(named, _NAMED[kind]):
        return named
    raise ValueError(f"no argument: {plain}")


def read_call(path: Path) -> tuple[StoredCall, dict[str, torch.Tensor]]:
    """A call and its tensors, each with the strides that it was met with.

    Args:
        path: of a reproduction's inputs, ``<n>.safetensors``.

    Raises:
        RunError: the file is missing, holds something else, or a finding that is no call of a single operation.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it isn't a mapping
    except (OSError, SafetensorError) as failure:
        raise RunError("the inputs of a reproduction can't be read", where=path, observed=failure) from None
    if "call" not in metadata:
        raise RunError(
            "the reproduction holds no call of a single operation",
            where=path,
            observed="inputs alone",
            allowed="a call of one operation, as verify has kept it since version 0.1's shrink command",
            hint=f"python {path.with_suffix('.py')}",
        )
    stored = decode_value(metadata["call"].encode(), StoredCall, path, RunError, schema=SCHEMA)
    if any(name not in tensors or len(each) != tensors[name].dim() for name, each in stored.strides.items()):
        raise RunError("strides are of no tensor of the file", where=path, observed=dict(stored.strides))
    return stored, {name: laid_out(tensor, stored.strides.get(name)) for name, tensor in tensors.items()}


def laid_out(tensor: torch.Tensor, strides: tuple[int, ...] | None) -> torch.Tensor:
    """The tensor with other strides, on its own device; an axis of stride 0 repeats its first element.

    Args:
        tensor: of any shape.
        strides: one an axis; as it is where None.
    """
    if strides is None or tensor.stride() == strides:
        return tensor
    one = tensor[tuple(slice(None) if stride else slice(1) for stride in strides)]
    steps = [stride or 1 for stride in strides]
    made = torch.empty_strided(one.shape, steps, dtype=one.dtype, device=one.device).copy_(one)
    return made.expand(tensor.shape)
