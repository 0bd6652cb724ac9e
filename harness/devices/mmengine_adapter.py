"""Teaches mmengine the device that it doesn't know. The one place that does, and no fork of mmengine.

mmengine 0.10 knows cuda, npu, mlu, mps, musa, dipu and cpu. Its ``get_device()`` returns a module constant, its
``AmpOptimWrapper`` asserts one of the accelerators that it knows, and its launcher initializes only their backends.
Here the constant is set, a wrapper of the same name takes the other's place, and the process group is made beforehand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from mmengine.device import utils as mmengine_device
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from harness.devices.device_registry import type_of_kind
from harness.values.errors import DeviceError

__all__ = ["AmpOptimWrapper", "join_process_group", "leave_process_group", "teach_mmengine"]

_AMP_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def teach_mmengine(kind: str) -> None:
    """Make every Runner that is built from now on use the torch device type ``kind``."""
    mmengine_device.DEVICE = kind
    AmpOptimWrapper.device_type = kind
    OPTIM_WRAPPERS.register_module(name="AmpOptimWrapper", module=AmpOptimWrapper, force=True)


def join_process_group(kind: str, timeout_seconds: float = 1800) -> None:
    """Join the process group that a launcher described in the environment; on the device's own backend.

    Raises:
        DeviceError: the launcher's variables are missing, or the device has no such backend.
    """
    missing = [name for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR") if name not in os.environ]
    if missing:
        raise DeviceError("not started by a launcher", observed=f"{', '.join(missing)} not set", hint="--launcher none")
    device_type = type_of_kind(kind)
    backend = device_type.group_backend
    if not backend:
        raise DeviceError(f"{kind} trains in one process alone", where="--launcher", hint="--launcher none")
    try:
        device_type.join_group(os.environ, timeout_seconds)
    except (RuntimeError, ValueError, AttributeError, ImportError) as failure:
        raise DeviceError(f"no process group on {kind}", observed=str(failure), allowed=backend) from failure


def leave_process_group() -> None:
    """Leave the group together: a process that ends first takes down those that still listen to it."""
    dist.barrier()
    dist.destroy_process_group()


class AmpOptimWrapper(OptimWrapper):  # type: ignore[misc]  # mmengine is not typed
    """Automatic mixed precision on any device that torch.autocast knows, under the name and options of mmengine's own.

    Args:
        loss_scale: ``dynamic``, a number for a fixed scale, or a dict of ``torch.amp.GradScaler``'s arguments. bfloat16
            has float32's range: there the scale is 1 unless one is given.
        dtype: ``float16`` or ``bfloat16``; the device's own choice where None (float16 on cuda and sdaa, bfloat16 on
            the CPU).
        **kwargs: of mmengine's OptimWrapper.

    Raises:
        DeviceError: the dtype or the scale is of another kind.
    """

    device_type = "cpu"

    def __init__(
        self, loss_scale: str | float | dict[str, Any] = "dynamic", dtype: str | None = None, **kwargs: Any
    ) -> None:
        kwargs.pop("use_fsdp", None)
        super().__init__(**kwargs)
        known = type_of_kind(self.device_type).amp_dtypes
        if dtype is not None and (dtype not in known or dtype not in _AMP_DTYPES):
            raise DeviceError(
                f"no such AMP dtype on {self.device_type}",
                where="optim_wrapper.dtype",
                observed=dtype,
                allowed=", ".join(known),
            )
        self.cast_dtype = _AMP_DTYPES[dtype] if dtype else torch.get_autocast_dtype(self.device_type)
        self._fixed_scale = float(loss_scale) if isinstance(loss_scale, (int, float)) else None
        self.loss_scaler = torch.amp.GradScaler(self.device_type, **self._scaler_arguments(loss_scale))

    def _scaler_arguments(self, loss_scale: str | float | dict[str, Any]) -> dict[str, Any]:
        if self._fixed_scale is not None:
            return {"init_scale": self._fixed_scale}
        if isinstance(loss_scale, dict):
            return dict(loss_scale)
        if loss_scale == "dynamic":
            return {"enabled": self.cast_dtype is torch.float16}
        raise DeviceError(
            "unknown loss scale",
            where="optim_wrapper.loss_scale",
            observed=loss_scale,
            allowed="'dynamic', a number, or a dict",
        )

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        """Propagate the scaled loss back."""
        self.loss_scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs: Any) -> None:
        """Unscale, clip where asked to, update, and adapt the scale."""
        self.loss_scaler.unscale_(self.optimizer)
        if self.clip_grad_kwargs:
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update(self._fixed_scale)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state, with the scaler's under ``loss_scaler``."""
        return {**super().state_dict(), "loss_scaler": self.loss_scaler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what ``state_dict`` gave, or an optimizer's state alone."""
        state = dict(state_dict)
        if (scaler := state.pop("loss_scaler", None)) and self.loss_scaler.is_enabled():
            self.loss_scaler.load_state_dict(scaler)
        super().load_state_dict(state)

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """Autocast around the forward pass."""
        with super().optim_context(model), torch.autocast(self.device_type, dtype=self.cast_dtype):
            yield
