"""Code that the program compiles by itself, with ``torch.compile``.

A compiled function calls its kernels by itself: what it calls is no call that a dispatch mode sees. And what listens to
a program must not be compiled into it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["has_compiled", "left_as_it_is"]


def has_compiled() -> bool:
    """Whether this process compiled a function."""
    dynamo: Any = sys.modules.get("torch._dynamo.utils")
    return dynamo is not None and dynamo.counters["frames"]["total"] > 0


def left_as_it_is(hook: Callable[..., Any]) -> Callable[..., Any]:
    """A hook that isn't compiled with what it listens to, where the program compiles: importing that takes seconds."""
    return torch.compiler.disable(hook) if "torch._dynamo" in sys.modules else hook
