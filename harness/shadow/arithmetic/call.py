"""A call of an operation: what it was given, and what can be said of that once for all its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from harness.shadow.arithmetic.host import tensors_of
from harness.shadow.arithmetic.kinds import Operation
from harness.shadow.arithmetic.term_counts import OF_MANY
from harness.shadow.judging.error_model import mantissa_bits

__all__ = ["Arguments", "Call", "dtype_name"]

Arguments = tuple[Sequence[Any], Mapping[str, Any]]
"""Positional and keyword arguments."""


@dataclass(frozen=True)
class Call:
    """A call, as it was given.

    Args:
        op: the operation, with its overload.
        operation: what its schema says.
        given: the arguments, as the device had them; those that it writes are written.
        before: the same on the host, before the call; floating tensors in float64.
        state: of the device's generator before a random call.
    """

    op: Any
    operation: Operation
    given: Arguments
    before: Arguments | None = None
    state: torch.Tensor | None = None

    @property
    def name(self) -> str:
        """The operation's name."""
        return self.operation.name

    @property
    def args(self) -> Sequence[Any]:
        """The positional arguments, as the device had them."""
        return self.given[0]

    @cached_property
    def operand_bits(self) -> int:
        """Explicit mantissa bits of the narrowest floating argument's dtype."""
        floating = {tensor.dtype for tensor in tensors_of(self.args) if tensor.is_floating_point()}
        return min((mantissa_bits(dtype_name(dtype)) for dtype in floating), default=23)

    @cached_property
    def contiguous(self) -> bool:
        """Whether every tensor that went in is contiguous."""
        return all(tensor.is_contiguous() for tensor in tensors_of(self.args))

    @property
    def is_update(self) -> bool:
        """Whether it treats every element of many tensors alike, so that some of them show what it does to all."""
        return self.name.startswith(OF_MANY) and "norm" not in self.name


def dtype_name(dtype: torch.dtype) -> str:
    """``float32`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")
