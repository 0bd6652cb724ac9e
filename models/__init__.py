"""Semantic segmentation models, their data and their training configs: what the harness aligns.

Names are imported when they are first asked for, since most commands need nothing here but where the configs lie, and
importing torch takes seconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.recording.start_weights import draw_start_weights, weights_digest
    from models.build import build_model, config_names
    from models.checkpoint import load_checkpoint

__all__ = ["build_model", "config_names", "draw_start_weights", "load_checkpoint", "weights_digest"]

_MODULES = {
    "build_model": "models.build",
    "config_names": "models.build",
    "load_checkpoint": "models.checkpoint",
    "draw_start_weights": "harness.recording.start_weights",
    "weights_digest": "harness.recording.start_weights",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
