"""Where is kept what can be made again, and what it is called there."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["SCENES", "cache_root"]

_APPLICATION = "alignment-harness"

SCENES = "scenes-"
"""What the folders of generated scenes are called, before their digest."""


def cache_root() -> Path:
    """`$ALIGN_CACHE`, else `$XDG_CACHE_HOME/alignment-harness`, else `~/.cache/alignment-harness`."""
    if chosen := os.environ.get("ALIGN_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / _APPLICATION
