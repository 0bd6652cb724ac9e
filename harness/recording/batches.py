"""The digest of a batch: two sides that saw the same bytes have the same digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from harness.values.errors import TraceError

__all__ = ["batch_digest"]

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
            dense = value.detach().cpu().contiguous()
            digest.update(f"{dense.dtype}{tuple(dense.shape)}".encode())
            digest.update(dense.reshape(-1).view(torch.uint8).numpy().data if dense.numel() else b"")
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        else:
            digest.update(_plain(value).encode())
    return digest.hexdigest()


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


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from _inside(((key, value[key]) for key in sorted(value, key=str) if key not in _NOT_DATA), place)
    elif isinstance(value, (list, tuple)):
        yield from _inside(enumerate(value), place)
    elif isinstance(value, np.ndarray) and value.dtype.hasobject:  # its bytes are addresses
        yield place, str(value.shape)
        yield from _inside(enumerate(value.reshape(-1).tolist()), place)
    elif hasattr(value, "all_items"):  # mmengine's BaseDataElement
        yield from _inside(((key, item) for key, item in sorted(value.all_items()) if key not in _NOT_DATA), place)
    elif value is None or isinstance(value, (torch.Tensor, np.ndarray, np.generic, str, bytes, int, float, bool)):
        yield place, value
    else:
        raise TraceError(
            "a batch holds a value that has no digest",
            where=f"batch{place}",
            observed=type(value).__name__,
            allowed="tensors, arrays, plain values, and mappings, sequences and data elements of them",
        )


def _inside(items: Iterable[tuple[Any, Any]], place: str) -> Iterator[tuple[str, Any]]:
    for key, item in items:
        yield from _leaves(item, f"{place}/{key}")
