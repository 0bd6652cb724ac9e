"""Building one part of a model from its config, with errors that name the field."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from torch import nn

from harness.values.errors import ModelError
from models.registry import MODELS

__all__ = ["build_part"]


def build_part(config: Mapping[str, object], where: str) -> nn.Module:
    """The part that a config describes.

    Args:
        config: `type`, the part's registered name, and its settings.
        where: the field of the model's config that this is, for messages: "model.backbone".

    Raises:
        ModelError: no such part, or a setting that it doesn't have, lacks, or can't take.
    """
    MODELS.import_from_location()
    kinds = MODELS.module_dict
    if not isinstance(config, Mapping) or "type" not in config:
        raise ModelError("a part's config is a dict with a type", where=where, observed=config, allowed=sorted(kinds))
    settings = {key: value for key, value in config.items() if key != "type"}
    kind: type | None = config["type"] if inspect.isclass(config["type"]) else kinds.get(str(config["type"]))
    if kind is None:
        raise ModelError("no such part", where=f"{where}.type", observed=config["type"], allowed=sorted(kinds))
    names = _settings_of(kind)
    for name in sorted(settings.keys() - names.keys()):
        raise ModelError(
            f"{kind.__name__} has no such setting", where=f"{where}.{name}", observed=name, allowed=sorted(names)
        )
    for name in (name for name, required in names.items() if required and name not in settings):
        raise ModelError(f"{kind.__name__} needs this setting", where=f"{where}.{name}", observed="nothing")
    part: nn.Module = kind(**settings)
    return part


def _settings_of(kind: type) -> dict[str, bool]:
    """The names of a class's settings, along the chain of constructors that pass `**kwargs` on; true where required."""
    names: dict[str, bool] = {}
    for owner in (owner for owner in kind.__mro__ if "__init__" in vars(owner)):
        parameters = list(inspect.signature(vars(owner)["__init__"]).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                names.setdefault(parameter.name, parameter.default is parameter.empty)
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names
