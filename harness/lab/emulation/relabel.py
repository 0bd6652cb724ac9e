"""Relabelling: one memory, seen as a CPU tensor or as an `sdaa` tensor.

A DLPack capsule (dmlc/dlpack, `dlpack.h`, struct DLTensor) carries a pointer, strides and a device. Rewriting the
device field between export and import yields a plain `torch.Tensor` of the other device over the same memory and
strides, with no copy. Each tensor keeps the one that it was made from alive.
"""

from __future__ import annotations

import ctypes

import torch

from harness.values.errors import DeviceError

__all__ = ["device_tensor", "host_tensor"]

# DLDevice is {int32 device_type; int32 device_id}, little-endian: one 64-bit store writes both.
_CPU = 1
_EXTENSION = 12
_ID_SHIFT = 32
_DEVICE_OFFSET = ctypes.sizeof(ctypes.c_void_p)

_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype = ctypes.c_void_p
_get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_device_field = ctypes.c_int64.from_address
_export = torch._C._to_dlpack
_import = torch._C._from_dlpack


def host_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """The CPU tensor over the memory of an `sdaa` tensor; any shape and dtype, outside of autograd.

    The capsule pins the TensorImpl, not its storage: whoever keeps the result beyond one operation passes a
    `detach()`-ed tensor, lest `.data` be swapped underneath it.
    """
    capsule = _export(tensor)
    _device_field(_get_pointer(capsule, b"dltensor") + _DEVICE_OFFSET).value = _CPU
    relabelled: torch.Tensor = _import(capsule)
    return relabelled


def device_tensor(tensor: torch.Tensor, index: int) -> torch.Tensor:
    """The tensor of `sdaa:index` over the memory of a CPU tensor; any shape and dtype, outside of autograd.

    One that is lazily conjugated or negated is copied, since DLPack has no field for either mark.

    Raises:
        DeviceError: the tensor isn't dense, or is quantized: DLPack (dlpack.h) has no field for what it is.
    """
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    try:
        capsule = _export(tensor)
    except (RuntimeError, BufferError) as error:
        raise DeviceError(
            "the emulated accelerator has dense tensors of plain dtypes only",
            observed=f"{tensor.layout}, {tensor.dtype}",
            allowed="torch.strided, and no quantized dtype",
        ) from error
    _device_field(_get_pointer(capsule, b"dltensor") + _DEVICE_OFFSET).value = _EXTENSION | index << _ID_SHIFT
    relabelled: torch.Tensor = _import(capsule)
    return relabelled
