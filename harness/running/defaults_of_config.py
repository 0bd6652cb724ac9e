"""What is built where a config doesn't say: defaults of the classes that it names.

One config spells out what another leaves to the class. Both are the same experiment, so that a setting that one side
lacks is compared by its default.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import mmengine.runner  # noqa: F401  # registers what mmengine brings along
from mmengine import registry
from mmengine.config import Config

from harness.running.cases import flatten
from harness.running.settings_of_config import effective_fields

__all__ = ["default_settings"]

_REGISTRIES = (
    registry.MODELS,
    registry.DATASETS,
    registry.TRANSFORMS,
    registry.DATA_SAMPLERS,
    registry.FUNCTIONS,
    registry.OPTIM_WRAPPERS,
    registry.OPTIM_WRAPPER_CONSTRUCTORS,
    registry.OPTIMIZERS,
    registry.PARAM_SCHEDULERS,
)


def default_settings(config: Config) -> dict[str, str]:
    """Name of a setting → its default, as text, of all that the classes of a config have.

    A part whose class isn't found, or can't be looked into, has none.

    Args:
        config: resolved; what it names is imported.
    """
    scope = str(config.get("default_scope") or "mmengine")
    with suppress(ImportError):  # a library whose parts can't be imported: building it will tell
        importlib.import_module(f"{scope}.registry")
    found: dict[str, str] = {}
    for path, part in _parts(effective_fields(config), ""):
        for name, default in _defaults(_class_of(part["type"], scope)):
            found.update(flatten(default, f"{path}.{name}"))
    return found


def _parts(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Whatever of a config has a type, with its path as ``flatten`` spells it."""
    if isinstance(value, Mapping):
        if path and "type" in value:
            yield path, value
        for name, inner in value.items():
            yield from _parts(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _parts(inner, f"{path}.{number}")


def _class_of(name: Any, scope: str) -> Any:
    """What a type names; None where nothing of that name is registered."""
    if not isinstance(name, str):
        return name
    for root in _REGISTRIES:
        with suppress(ImportError, KeyError, ValueError):
            if (made := root.children.get(scope, root).get(name)) is not None:
                return made
    return None


def _defaults(made: Any) -> Iterator[tuple[str, Any]]:
    """Parameters with a plain default, of a function, or of a class and of those it hands its others on to."""
    seen: set[str] = set()
    for one in made.__mro__[:-1] if isinstance(made, type) else [made]:
        takes = one.__dict__.get("__init__") if isinstance(made, type) else one
        if takes is None:
            continue
        try:
            parameters = inspect.signature(takes).parameters.values()
        except (TypeError, ValueError):
            return
        for parameter in parameters:
            if parameter.name not in seen and _is_plain(parameter.default):
                yield parameter.name, parameter.default
            seen.add(parameter.name)
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            return


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
