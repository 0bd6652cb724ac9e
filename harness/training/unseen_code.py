"""Code whose operations no dispatch mode sees: what was compiled, and what runs in other threads.

A compiled function calls its kernels by itself, and a mode is one of the thread that it was entered in; a backward
takes it along. And what listens to a program must not be compiled into it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["COMPILER", "THREADS", "StaysBehind", "has_compiled", "is_seen", "left_as_it_is"]

COMPILER = "torch.compile"
THREADS = "threading.Thread"
"""What they are called among what wasn't checked; the former names the backend in a device's build, too."""


_COMPILES_BENEATH_MODES = hasattr(TorchDispatchMode, "ignore_compile_internals")


def has_compiled() -> bool:
    """Whether this process compiled a function; when, and whether that is called still, isn't known.

    Before PyTorch 2.9 nothing is compiled beneath a dispatch mode: a shadowed step runs eager code, which is not what
    the other steps run. There it counts that something is to be compiled.
    """
    dynamo: Any = sys.modules.get("torch._dynamo")
    if dynamo is None:
        return False
    backends = dynamo.eval_frame.cached_backends.values()
    asked = not _COMPILES_BENEATH_MODES and any(callable(backend) for backend in backends)
    return asked or dynamo.utils.counters["frames"]["total"] > 0


def is_seen() -> bool:
    """Whether the operations of this thread are seen by a dispatch mode."""
    return int(torch._C._len_torch_dispatch_stack()) > 0


def left_as_it_is(hook: Callable[..., Any]) -> Callable[..., Any]:
    """A hook that isn't compiled with what it listens to, where the program compiles: importing that takes seconds."""
    return torch.compiler.disable(hook) if "torch._dynamo" in sys.modules else hook


class StaysBehind:
    """A module's hook that a copy of the module hasn't: copied or saved it is one that does nothing.

    A loop may copy its model in a step, for an average of its weights, or save it whole.

    Args:
        hook: what is called.
    """

    def __init__(self, hook: Callable[..., Any]) -> None:
        self._hook = left_as_it_is(hook)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the hook, or nothing in a copy."""
        return self._hook(*args, **kwargs)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return StaysBehind, (_nothing,)


def _nothing(*args: Any, **kwargs: Any) -> None:
    """What a hook does that stayed behind."""
