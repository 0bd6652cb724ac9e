"""What kind of operation it is, which says how it can be checked. Read once from an operation's schema."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch

__all__ = ["Kind", "Operation", "read_operation", "without_place"]


class Kind(Enum):
    """How an operation is checked."""

    COMPUTE = "float64 on the host, from the same inputs"
    MOVE = "bit for bit"
    VIEW = "bit for bit, and its metadata"
    RANDOM = "by distribution and by stream"
    NOTHING = "it makes no values"


_MOVES = frozenset(
    {
        *(
            "_to_copy",
            "copy_",
            "clone",
            "contiguous",
            "cat",
            "stack",
            "flip",
            "roll",
            "repeat",
            "index",
            "index_select",
        ),
        *("gather", "where", "masked_fill", "masked_fill_", "select_backward", "slice_backward", "constant_pad_nd"),
        *("fill_", "zero_", "fill", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros"),
        *("new_ones", "new_full", "arange", "scalar_tensor", "_unsafe_view", "pixel_shuffle", "pixel_unshuffle"),
        *("select_scatter", "slice_scatter", "unfold_copy", "_reshape_copy", "_pin_memory", "eye", "tril", "triu"),
        # What these make depends on the dtype's own numbers: its largest, its next, the one that a value is equal to.
        *("nan_to_num", "nan_to_num_", "nextafter", "nextafter_", "isin"),
    }
)

_NOTHING = frozenset(
    {
        *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_local_scalar_dense", "item"),
        *("record_stream", "set_", "resize_", "is_pinned", "_record_function_enter_new", "_record_function_exit"),
        *("is_same_size", "_has_compatible_shallow_copy_type", "_version", "_nested_tensor_storage_offsets"),
        *("wait_tensor", "_propagate_xla_data"),  # the latter tells XLA which of two tensors lives on
    }
)

_BESIDES = frozenset({"profiler", "c10d", "_c10d_functional", "debugprims", "rngprims"})
"""Namespaces of operations that compute nothing, or are checked by program: collectives."""

_WRITES_UNSAID = {
    "native_batch_norm": ("running_mean", "running_var"),
    "cudnn_batch_norm": ("running_mean", "running_var"),
    "batch_norm_gather_stats_with_counts": ("running_mean", "running_var"),
    "batch_norm_gather_stats": ("running_mean", "running_var"),
}
"""Arguments that an operation changes without its schema saying so."""

_MAY_DRAW = ("_scaled_dot_product_", "rrelu_with_noise_backward")
"""How the names begin of operations that draw only where they drop out, which their counterpart says."""

_SAYS_WHERE = frozenset({"device", "layout", "pin_memory", "non_blocking"})


@dataclass(frozen=True)
class Operation:
    """An operation as far as checking needs it.

    Args:
        name: without its namespace, ``convolution_backward``.
        qualified: with it, ``aten::convolution_backward``.
        kind: how it is checked.
        arguments: names of its positional arguments.
        written: names of the arguments that it changes.
    """

    name: str
    qualified: str
    kind: Kind
    arguments: tuple[str, ...]
    written: frozenset[str]


@functools.cache
def read_operation(op: Any) -> Operation:
    """What an operation's schema says of it."""
    schema = op._schema
    qualified = schema.name
    name = qualified.partition("::")[2]
    said = (a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write)
    written = frozenset((*said, *_WRITES_UNSAID.get(name, ())))
    return Operation(
        name=name,
        qualified=qualified,
        kind=_kind(op, name, written),
        arguments=tuple(argument.name for argument in schema.arguments),
        written=written,
    )


def _kind(op: Any, name: str, written: frozenset[str]) -> Kind:
    if name in _NOTHING or op.namespace in _BESIDES:
        return Kind.NOTHING
    if torch.Tag.nondeterministic_seeded in op.tags and not name.startswith(_MAY_DRAW):
        return Kind.RANDOM
    if name in _MOVES or torch.Tag.view_copy in op.tags:  # a functionalized view is a copy
        return Kind.MOVE
    returns = [result.alias_info for result in op._schema.returns]
    if not written and any(alias is not None for alias in returns):
        return Kind.VIEW
    return Kind.COMPUTE


def without_place(kwargs: dict[str, Any]) -> dict[str, Any]:
    """A call's keyword arguments without those that say where its result lies."""
    return {name: value for name, value in kwargs.items() if name not in _SAYS_WHERE}
