"""Which operations a device leaves to its host: those that its backend has registered no kernel for."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import torch

from harness.devices.device_registry import type_of_kind
from harness.shadow.arithmetic.host import tensors_of

__all__ = ["counted_fallbacks", "falls_back"]

_SHARED = ("CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional", "CompositeImplicitAutograd")
"""Kernels that are made of other operations, which the device is asked for in turn: no fallback."""


def falls_back(op: Any, inputs: Iterable[Any]) -> bool:
    """Whether a device has no kernel of its own for an operation, so that the backend's fallback takes it to the host.

    A backend that registers its way to the host as a kernel of the operation can't be told from one that has it.

    Args:
        op: the operation, with its overload.
        inputs: of the call; its first tensor that isn't on the host tells the device.
    """
    kinds = (tensor.device.type for tensor in tensors_of(list(inputs)))
    kind = next((kind for kind in kinds if kind not in {"cpu", "meta"}), "")
    return bool(kind) and _has_no_kernel(op, kind)


def counted_fallbacks(device: torch.device) -> frozenset[str]:
    """Names of the operations that a device which counts them has left to its host so far; none where it doesn't."""
    return type_of_kind(device.type).fallbacks() or frozenset()


@functools.cache
def _has_no_kernel(op: Any, kind: str) -> bool:
    own = "PrivateUse1" if kind == torch._C._get_privateuse1_backend_name() else kind.upper()
    try:
        return not any(torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), key) for key in (own, *_SHARED))
    except RuntimeError:  # no such key: nothing is known of the device's kernels
        return False
