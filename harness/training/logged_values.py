"""What a step logs, as the trace has it: scalars under dotted names."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from harness.values.errors import TraceError

__all__ = ["scalars_of"]


def scalars_of(returned: Any, where: str) -> dict[str, torch.Tensor]:
    """What is logged as tensors of one element, ``loss`` among them.

    Args:
        returned: a number or a tensor of one element, which is the loss; or name → such, which may be nested in
            mappings and sequences: their names and numbers are joined by dots.
        where: for messages.

    Raises:
        TraceError: there is no loss, or something that is no scalar.
    """
    if not isinstance(returned, Mapping):
        if returned is None:
            raise TraceError(
                "nothing is logged: a trace needs the loss of every iteration",
                where=where,
                observed="None",
                allowed="a loss, or name → number with a loss among them",
            )
        returned = {"loss": returned}
    found = dict(_flat(returned, "", where))
    if "loss" not in found:
        losses = [value for name, value in found.items() if "loss" in name]
        if not losses:
            raise TraceError(
                "no loss is logged: a trace needs one at every iteration",
                where=where,
                observed=", ".join(found) or "nothing",
                allowed="a value named loss, or some whose names hold loss, which are added up",
            )
        found = {"loss": torch.stack([value.detach().double().cpu().reshape(()) for value in losses]).sum(), **found}
    return found


def _flat(value: Any, name: str, where: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key), where)
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{number}" if name else str(number), where)
    elif isinstance(value, torch.Tensor):
        if value.numel() != 1 or value.is_complex():
            raise TraceError(
                "a value that is logged is no scalar",
                where=f"{where}: {name}",
                observed=f"{value.dtype} {tuple(value.shape)}",
                allowed="a tensor of one element, or a number",
                hint=f"log {name}.mean(), or leave it out",
            )
        yield name, value.detach()
    elif isinstance(value, numbers.Real) or (isinstance(value, np.ndarray) and value.ndim == 0):
        yield name, torch.tensor(float(value), dtype=torch.float64)
    else:
        raise TraceError(
            "a value that is logged is no scalar",
            where=f"{where}: {name}",
            observed=type(value).__name__,
            allowed="numbers, tensors of one element, and mappings and sequences of them",
        )
