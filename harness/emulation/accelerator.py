"""`torch.accelerator`: what it asks a C++ allocator and C++ streams for, answered by the emulated device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.emulation.memory import MemoryCounter

__all__ = ["register"]


def register(memory: MemoryCounter) -> None:
    """Replace the functions that would run into PyTorch's internal asserts; this process has no other accelerator."""

    def stats(device: Any = None) -> dict[str, int]:
        allocated, peak = memory.allocated(), memory.peak()
        return {"allocated_bytes.all.current": allocated, "allocated_bytes.all.peak": peak}

    answers: dict[str, Callable[..., Any]] = {
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
        "empty_host_cache": lambda: None,
        "memory_stats": stats,
        "memory_allocated": lambda device=None: memory.allocated(),
        "memory_reserved": lambda device=None: memory.allocated(),
        "max_memory_allocated": lambda device=None: memory.peak(),
        "max_memory_reserved": lambda device=None: memory.peak(),
        "reset_peak_memory_stats": lambda device=None: memory.reset_peak(),
        "reset_accumulated_memory_stats": lambda device=None: None,
    }
    for name, answer in answers.items():
        if hasattr(torch.accelerator, name):
            setattr(torch.accelerator, name, answer)
