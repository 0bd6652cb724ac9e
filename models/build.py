"""A model by the name of its training config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from harness.values.errors import ModelError
from models.checkpoint import load_checkpoint
from models.parts import build_part
from models.registry import SCOPE

__all__ = ["CONFIGS", "build_model", "config_names"]

CONFIGS: Final = Path(__file__).parent / "configs"


def config_names() -> tuple[str, ...]:
    """The names of the training configs that come with the project, in order."""
    return tuple(sorted(path.stem for path in CONFIGS.glob("[!_]*/*.py")))


def build_model(config: str | Path | Config | Mapping[str, Any], checkpoint: str | Path | None = None) -> nn.Module:
    """Build a model; batch norm is plain outside a distributed job.

    Args:
        config: a name from `config_names()`, the path of a config file (Python, run as you), or a loaded config, whole
            or its `model` field alone.
        checkpoint: a file with the whole model's weights, OpenMMLab's or safetensors.

    Returns:
        The module, in training mode, on the CPU.

    Raises:
        ModelError: no such config, settings that contradict each other, or weights that don't fit.
    """
    if isinstance(config, (str, Path)):
        config = Config.fromfile(_path(config), format_python_code=False)
    settings = config.get("model", config)
    # mmengine asks the default scope where its own base classes build a part by name.
    with DefaultScope.overwrite_default_scope(SCOPE):
        model = build_part(settings, "model")
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
    return model


def _path(config: str | Path) -> Path:
    if str(config).endswith(".py"):
        return Path(config)
    found = [path for path in CONFIGS.glob("[!_]*/*.py") if path.stem == str(config)]
    if not found:
        raise ModelError("no such config", where="build_model", observed=config, allowed=", ".join(config_names()))
    return found[0]
