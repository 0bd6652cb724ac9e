"""`torch.sdaa`: what a training script calls on the accelerator's own module.

The surface is torch_sdaa's (`is_available`, `device_count`, `set_device`, `empty_cache`, `is_bf16_supported`, `amp`)
and what PyTorch itself asks of a device module (random state, memory statistics, `_lazy_init`).
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness.lab.emulation.card import DEVICE_TYPE, Card
from harness.lab.emulation.streams import DeviceEvent, stream_given, stream_of
from harness.values.errors import DeviceError

__all__ = ["DEVICE_NAME", "make_module"]

DEVICE_NAME = "emulated sdaa (host CPU)"

_Surface = dict[str, Callable[..., Any]]


def make_module(card: Card) -> types.ModuleType:
    """The module that becomes `torch.sdaa`, over the card's devices."""
    module = types.ModuleType(f"torch.{DEVICE_TYPE}", __doc__)
    for surface in (_presence(card), _randomness(card), _memory(card), _streams(card)):
        vars(module).update(surface)
    # Gradient checkpointing keeps the random state of a module that says _initialized, and of no other.
    vars(module).update(amp=_amp(), is_emulated=True, _initialized=True)
    return module


def _presence(card: Card) -> _Surface:
    def set_device(device: Any) -> None:
        card.current = card.chip(device, f"torch.{DEVICE_TYPE}.set_device")

    def device_context(device: Any = None) -> contextlib.AbstractContextManager[None]:
        return card.using(card.chip(device, f"torch.{DEVICE_TYPE}.device"))

    def synchronize(device: Any = None) -> None:
        card.chip(device, f"torch.{DEVICE_TYPE}.synchronize")

    def get_device_name(device: Any = None) -> str:
        card.chip(device, f"torch.{DEVICE_TYPE}.get_device_name")
        return DEVICE_NAME

    def get_device_properties(device: Any = None) -> types.SimpleNamespace:
        memory = card.chip(device, f"torch.{DEVICE_TYPE}.get_device_properties").memory
        return types.SimpleNamespace(name=DEVICE_NAME, total_memory=memory.total, is_emulated=True)

    return {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "is_bf16_supported": lambda: True,
        "init": lambda: None,
        "device_count": lambda: len(card.chips),
        "current_device": lambda: card.current.index,
        "get_device_name": get_device_name,
        "get_device_properties": get_device_properties,
        "set_device": set_device,
        "device": device_context,
        "synchronize": synchronize,
        "get_amp_supported_dtype": lambda: [torch.float16, torch.bfloat16],
        "_is_in_bad_fork": lambda: False,
        "_lazy_init": lambda: None,
    }


def _randomness(card: Card) -> _Surface:
    def manual_seed(seed: int) -> None:
        card.current.stream.seed(seed)

    def manual_seed_all(seed: int) -> None:
        for chip in card.chips:
            chip.stream.seed(seed)

    def set_rng_state(state: torch.Tensor, device: Any = None) -> None:
        card.chip(device).stream.state = state

    def set_rng_state_all(states: Sequence[torch.Tensor]) -> None:
        if len(states) != len(card.chips):
            raise DeviceError(
                "each device has one random state",
                where=f"torch.{DEVICE_TYPE}.set_rng_state_all",
                observed=f"{len(states)} states",
                allowed=f"{len(card.chips)}",
            )
        for chip, state in zip(card.chips, states, strict=True):
            chip.stream.state = state

    return {
        "manual_seed": manual_seed,
        "manual_seed_all": manual_seed_all,
        "get_rng_state": lambda device=None: card.chip(device).stream.state,
        "get_rng_state_all": lambda: [chip.stream.state for chip in card.chips],
        "set_rng_state": set_rng_state,
        "set_rng_state_all": set_rng_state_all,
        "initial_seed": lambda: card.current.stream.initial_seed,
    }


def _memory(card: Card) -> _Surface:
    return {
        "empty_cache": lambda: None,
        "memory_allocated": lambda device=None: card.chip(device).memory.allocated(),
        "max_memory_allocated": lambda device=None: card.chip(device).memory.peak(),
        "memory_reserved": lambda device=None: card.chip(device).memory.allocated(),
        "max_memory_reserved": lambda device=None: card.chip(device).memory.peak(),
        "reset_peak_memory_stats": lambda device=None: card.chip(device).memory.reset_peak(),
        "reset_max_memory_allocated": lambda device=None: card.chip(device).memory.reset_peak(),
        "mem_get_info": lambda device=None: card.chip(device).memory.free_and_total(),
    }


def _streams(card: Card) -> _Surface:
    @contextlib.contextmanager
    def stream(chosen: torch.Stream | None) -> Any:
        given = None if chosen is None else stream_given(chosen, f"torch.{DEVICE_TYPE}.stream").device
        with card.using(card.chip(given)):
            yield

    return {
        "Event": DeviceEvent,
        "Stream": lambda device=None, priority=0: stream_of(card.chip(device)),
        "current_stream": lambda device=None: stream_of(card.chip(device)),
        "default_stream": lambda device=None: stream_of(card.chip(device)),
        "stream": stream,
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
