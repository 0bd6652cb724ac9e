"""The configs that come with the project, as files: nothing that reads one is imported."""

from __future__ import annotations

from pathlib import Path

import models

__all__ = ["CONFIGS", "config_files"]

CONFIGS = Path(models.__file__).parent / "configs"


def config_files() -> list[Path]:
    """The configs that are cases, without the parts that they are made of."""
    return [path for path in CONFIGS.rglob("*.py") if "_base_" not in path.parts]
