"""The start of a run: its weights, before anything has trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from harness.recording.restarts import piece_seed
from harness.recording.start_weights import draw_start_weights
from harness.values.errors import CaseError

__all__ = ["GENERATED", "KEPT", "LOADED", "PATHS_OF_WEIGHTS", "StartHook", "pretrained_parts"]

GENERATED = "generated"
KEPT = "the training's own"

LOADED = "a checkpoint's"

PATHS_OF_WEIGHTS = frozenset({"pretrained", "checkpoint"})
"""Fields of a model's config that name a file with weights. Its bytes are part of the experiment, its place is not."""

_PRETRAINED = frozenset({"Pretrained", "PretrainedInit"})


class StartHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Starts every run of a case from the same weights, whatever the model's own initialization drew.

    What a checkpoint gives stays: all weights of a run that loads one, and of a model with a pretrained part that
    part's. Only the rest is generated: an initialization draws from the generator of its device, which differs from
    device to device.

    Args:
        seed: of the draw.
        settings: of ``draw_start_weights``.
        given: the modules whose weights the config gives, as ``pretrained_parts`` finds them.
        then: called with the Runner, its bare model, and in words where the weights come from.
    """

    def __init__(
        self,
        seed: int,
        settings: Mapping[str, float],
        given: Sequence[str],
        then: Callable[[Any, torch.nn.Module, str], None],
    ) -> None:
        self._seed = seed
        self._settings = dict(settings)
        self._given = tuple(given)
        self._then = then

    def before_train(self, runner: Any) -> None:
        """Draw the weights that nothing gives, on the host."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        loaded = runner._load_from or runner._resume
        self._given = ("",) if loaded else _outermost({*self._given, *_initialized_by_files(model)})
        _require_modules(model, self._given)
        self.draw(model)
        self._then(runner, model, _words(self._given))

    def draw(self, model: torch.nn.Module, piece: int = 0) -> None:
        """Draw the weights that nothing gives, of a piece of the run."""
        if "" not in self._given:
            draw_start_weights(model, piece_seed(self._seed, piece), keep=self._given, **self._settings)


def pretrained_parts(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The modules of a model's config that name a file with weights, as dotted paths; ``""`` is the whole model.

    A field ``pretrained`` or ``checkpoint`` that isn't None or False, or an ``init_cfg`` of the type ``Pretrained``.
    The field's own ``EncoderDecoder`` hands its ``pretrained`` on to its backbone.
    """
    return _outermost(_given(model, ""))


def _given(config: Any, path: str) -> Iterator[str]:
    if isinstance(config, Mapping):
        names_a_file = any(config.get(name) not in (None, False, "") for name in PATHS_OF_WEIGHTS)
        if names_a_file or _is_pretrained(config.get("init_cfg")):
            yield "backbone" if not path and names_a_file and "backbone" in config else path
        for name, value in config.items():
            if name != "init_cfg":
                yield from _given(value, f"{path}.{name}" if path else str(name))
    elif isinstance(config, (list, tuple)):
        for number, value in enumerate(config):
            yield from _given(value, f"{path}.{number}")


def _is_pretrained(init: Any) -> bool:
    several = init if isinstance(init, (list, tuple)) else [init]
    return any(isinstance(one, Mapping) and one.get("type") in _PRETRAINED for one in several)


def _initialized_by_files(model: torch.nn.Module) -> Iterator[str]:
    """Modules that loaded a file themselves: a backbone makes an ``init_cfg`` of an argument of its own."""
    return (name for name, module in model.named_modules() if _is_pretrained(getattr(module, "init_cfg", None)))


def _outermost(paths: Any) -> tuple[str, ...]:
    """Without those that lie in another."""
    found = sorted(set(paths))
    return tuple(path for path in found if not any(path != other and _inside(path, other) for other in found))


def _inside(path: str, other: str) -> bool:
    return not other or path == other or path.startswith(f"{other}.")


def _require_modules(model: torch.nn.Module, given: Sequence[str]) -> None:
    known = {name for name, _ in model.named_modules()}
    if unknown := [path for path in given if path not in known]:
        raise CaseError(
            "the config gives weights to a part that is no module of the model: they can't be told from generated ones",
            where=", ".join(f"model.{path}" for path in unknown),
            allowed="a part of the model under the name that the config has for it",
            hint="--cfg-options load_from=CHECKPOINT, which keeps all of a checkpoint's weights",
        )


def _words(given: Sequence[str]) -> str:
    if not given:
        return GENERATED
    if "" in given:
        return LOADED
    return f"{GENERATED}, but a checkpoint's in {', '.join(given)}"
