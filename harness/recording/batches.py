"""The digest of a batch: two sides that saw the same bytes have the same digest."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from types import ModuleType
from typing import Any

import numpy as np
import torch

from harness.values.errors import TraceError

__all__ = ["batch_digest", "first_tensor"]

_DEEPEST = 64
"""Levels of nesting; an object that holds itself has no end."""

_NOT_DATA = frozenset({"img_path", "seg_map_path", "sample_idx"})


def batch_digest(batch: Any) -> str:
    """32 hexadecimal digits over every tensor and plain value of a batch, with their places in it.

    Paths are left out: the same images may lie elsewhere. Equal numbers are equal whatever holds them: NumPy 2 and a
    library that was built for it give scalars where NumPy 1 gave Python's own, and print them in another way.

    Args:
        batch: what the data loader gave: nested mappings, sequences, mmengine data elements, tensors, arrays.

    Raises:
        TraceError: the batch holds something else: leaving it out would call two batches equal that aren't.
    """
    digest = hashlib.blake2b(digest_size=16)
    for place, value in _leaves(batch, ""):
        digest.update(place.encode())
        if isinstance(value, torch.Tensor):
            # Of a copy: memory that NumPy has seen can't be resized by the program any more.
            dense = value.detach().to("cpu", copy=True).contiguous()
            digest.update(f"{dense.dtype}{tuple(dense.shape)}".encode())
            digest.update(dense.reshape(-1).view(torch.uint8).numpy().data if dense.numel() else b"")
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        else:
            digest.update(_plain(value).encode())
    return digest.hexdigest()


def first_tensor(batch: Any) -> torch.Tensor | None:
    """The first tensor of a batch, in the order of its digest; None where it has none."""
    return next((value for _, value in _leaves(batch, "") if isinstance(value, torch.Tensor)), None)


def _plain(value: Any) -> str:
    """A plain value as text that doesn't depend on the type of a scalar, or on the version of NumPy."""
    if isinstance(value, np.generic):
        plain = value.item()
        if isinstance(plain, np.generic):  # what Python has no type for: a long double
            return f"{value.dtype.str}{value.tobytes().hex()}"
        value = plain
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return repr(value)


def _leaves(value: Any, place: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        raise TraceError("a batch is nested too deeply", where=f"batch{place[:200]}", allowed=f"{_DEEPEST} levels")
    if value is None or isinstance(value, (torch.Tensor, np.generic, str, bytes, int, float, bool, complex)):
        yield place, _dense(value, place) if isinstance(value, torch.Tensor) else value
    elif isinstance(value, np.ndarray):
        if not value.dtype.hasobject:
            yield place, value
        else:  # its bytes are addresses
            yield place, str(value.shape)
            yield from _inside(enumerate(value.reshape(-1).tolist()), place, depth)
    elif isinstance(value, (PurePath, range, Enum)):
        yield place, "" if isinstance(value, PurePath) else repr(value)
    elif (items := _items(value)) is not None:
        yield from _inside(items, place, depth)
    else:
        raise TraceError(
            "a batch holds a value that has no digest",
            where=f"batch{place}",
            observed=type(value).__name__,
            allowed="tensors, arrays, plain values, and mappings, sequences, data elements and plain objects of them",
            hint="leave it out of the batch, or put a tensor in its place",
        )


def _items(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """What an object holds, by names or numbers in a fixed order; None where that can't be said."""
    if isinstance(value, Mapping):
        return [(key, value[key]) for key in sorted(value, key=str) if key not in _NOT_DATA]
    if isinstance(value, (list, tuple, deque, set, frozenset)):
        return list(enumerate(sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value))
    if hasattr(value, "all_items"):  # mmengine's BaseDataElement
        return [(key, item) for key, item in sorted(value.all_items()) if key not in _NOT_DATA]
    if callable(getattr(value, "__array__", None)) and not isinstance(value, type):  # an image of PIL's
        return [("array", np.asarray(value))]
    fields = getattr(value, "__dict__", None)
    if fields and not isinstance(value, (type, ModuleType)) and not callable(value):
        # Data classes, boxes and masks of OpenMMLab's, and whatever else is no more than what it holds.
        return [(key, item) for key, item in sorted(fields.items()) if key not in _NOT_DATA]
    return None


def _dense(tensor: torch.Tensor, place: str) -> torch.Tensor:
    """A tensor whose bytes are its values."""
    if tensor.is_sparse or tensor.layout in {torch.sparse_csr, torch.sparse_csc}:
        return tensor.to_dense()
    if tensor.is_quantized or tensor.is_nested or tensor.layout is not torch.strided:
        raise TraceError(
            "a batch holds a tensor that has no digest",
            where=f"batch{place}",
            observed="quantized" if tensor.is_quantized else str(tensor.layout),
            allowed="dense and sparse tensors",
        )
    return tensor


def _inside(items: Iterable[tuple[Any, Any]], place: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, item in items:
        yield from _leaves(item, f"{place}/{key}", depth + 1)
