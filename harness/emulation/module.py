"""`torch.sdaa`: what a training script calls on the accelerator's own module.

The surface is torch_sdaa's (`is_available`, `device_count`, `set_device`, `empty_cache`, `is_bf16_supported`, `amp`)
and what PyTorch itself asks of a device module (random state, memory statistics, `_lazy_init`).
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable
from typing import Any

import torch

from harness.emulation.memory import MemoryCounter
from harness.emulation.random_stream import RandomStream
from harness.values.errors import DeviceError

__all__ = ["DEVICE_NAME", "DEVICE_TYPE", "check_index", "make_module"]

DEVICE_TYPE = "sdaa"
DEVICE_NAME = "emulated sdaa (host CPU)"
DEVICES_A_CARD = 4


def make_module(stream: RandomStream, memory: MemoryCounter) -> types.ModuleType:
    """The module that becomes `torch.sdaa`, over the device's random stream and memory counter."""
    module = types.ModuleType(f"torch.{DEVICE_TYPE}", __doc__)
    for surface in (_presence(), _randomness(stream), _memory(memory)):
        vars(module).update(surface)
    # Gradient checkpointing keeps the random state of a module that says _initialized, and of no other.
    vars(module).update(amp=_amp(), is_emulated=True, _initialized=True)
    return module


class _Current:
    """Which of the card's devices this process took; PyTorch's Python backends have one, labelled 0, which serves."""

    index = 0


def check_index(device: Any = None) -> None:
    """Refuse every device but the process's own, given as an index, a string or a `torch.device`.

    Raises:
        DeviceError: the device is another than 0 and than the one that `set_device` took.
    """
    index = device if device is None or isinstance(device, int) else torch.device(device).index
    if index not in (None, 0, -1, _Current.index):
        raise DeviceError(
            "the emulated accelerator has one device a process",
            where=f"torch.{DEVICE_TYPE}",
            observed=device,
            allowed=f"{DEVICE_TYPE}:{_Current.index}",
            hint=f"torch.{DEVICE_TYPE}.set_device(…), once, before tensors are made; more devices take more processes",
        )


def _set_device(device: Any) -> None:
    index = device if isinstance(device, int) else torch.device(device).index or 0
    if not 0 <= index < DEVICES_A_CARD:
        raise DeviceError(
            "the card has no such device",
            where=f"torch.{DEVICE_TYPE}.set_device",
            observed=device,
            allowed=f"0 … {DEVICES_A_CARD - 1}",
        )
    _Current.index = index


def _presence() -> dict[str, Callable[..., Any]]:
    def device_context(device: Any = None) -> contextlib.AbstractContextManager[None]:
        check_index(device)
        return contextlib.nullcontext()

    def get_device_properties(device: Any = None) -> types.SimpleNamespace:
        check_index(device)
        return types.SimpleNamespace(name=DEVICE_NAME, total_memory=16 << 30, is_emulated=True)

    return {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "is_bf16_supported": lambda: True,
        "init": lambda: None,
        "device_count": lambda: DEVICES_A_CARD,
        "current_device": lambda: _Current.index,
        "get_device_name": lambda device=None: DEVICE_NAME,
        "get_device_properties": get_device_properties,
        "set_device": _set_device,
        "device": device_context,
        "synchronize": check_index,
        "get_amp_supported_dtype": lambda: [torch.float16, torch.bfloat16],
        "_is_in_bad_fork": lambda: False,
        "_lazy_init": lambda: None,
    }


def _randomness(stream: RandomStream) -> dict[str, Callable[..., Any]]:
    def set_rng_state(state: torch.Tensor, device: Any = None) -> None:
        stream.state = state

    return {
        "manual_seed": stream.seed,
        "manual_seed_all": stream.seed,
        "get_rng_state": lambda device=None: stream.state,
        "get_rng_state_all": lambda: [stream.state],
        "set_rng_state": set_rng_state,
        "set_rng_state_all": lambda states: set_rng_state(states[0]),
        "initial_seed": torch.initial_seed,
    }


def _memory(memory: MemoryCounter) -> dict[str, Callable[..., Any]]:
    return {
        "empty_cache": lambda: None,
        "memory_allocated": lambda device=None: memory.allocated(),
        "max_memory_allocated": lambda device=None: memory.peak(),
        "memory_reserved": lambda device=None: memory.allocated(),
        "max_memory_reserved": lambda device=None: memory.peak(),
        "reset_peak_memory_stats": lambda device=None: memory.reset_peak(),
        "reset_max_memory_allocated": lambda device=None: memory.reset_peak(),
    }


def _amp() -> types.ModuleType:
    amp = types.ModuleType(f"torch.{DEVICE_TYPE}.amp", f"Autocast and gradient scaling on {DEVICE_TYPE}.")

    class autocast(torch.amp.autocast_mode.autocast):  # noqa: N801 - the name that torch.cuda.amp has
        """`torch.autocast` with the device filled in."""

        def __init__(
            self, enabled: bool = True, dtype: torch.dtype = torch.float16, cache_enabled: bool | None = True
        ) -> None:
            super().__init__(DEVICE_TYPE, enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)

    class GradScaler(torch.amp.GradScaler):
        """`torch.amp.GradScaler` with the device filled in."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(DEVICE_TYPE, **settings)

    vars(amp).update(autocast=autocast, GradScaler=GradScaler)
    return amp
