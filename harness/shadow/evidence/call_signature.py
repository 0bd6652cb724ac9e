"""What a call was given, without the numbers: shapes, formats, layouts, options. Kernels are chosen by these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.values.bounds import Count

__all__ = ["CallSignature", "Option", "TensorSignature"]

Option = bool | int | float | str | tuple[int, ...] | None
"""An argument that isn't a tensor; what is neither a number, a text nor a list of integers is its text."""


@dataclass(frozen=True, slots=True)
class TensorSignature:
    """A tensor that went into a call.

    Args:
        name: of the argument, as the operation's schema has it: ``weight``.
        shape: its sizes.
        dtype: ``float32``.
        layout: ``contiguous``, ``channels-last``, ``permuted`` (another order of axes, no gaps), ``expanded`` (an axis
            of stride 0) or ``strided`` (with gaps).
        offset: elements before its first one, in the memory that it is a view of.
    """

    name: str
    shape: tuple[Count, ...]
    dtype: str
    layout: str
    offset: Count = 0


@dataclass(frozen=True, slots=True)
class CallSignature:
    """A call, as far as a kernel is chosen by it.

    Args:
        tensors: that went in, in the order of the schema; of a list of tensors the first few, under one name.
        options: argument → value, of all the others. A tensor that was left out is None.
    """

    tensors: tuple[TensorSignature, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
