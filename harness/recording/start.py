"""The start of a run: the frozen weights, before anything has trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from models.start import draw_start_weights

__all__ = ["StartHook"]


class StartHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Starts every run of a case from the same weights, whatever the model's own initialization drew.

    A run that loads a checkpoint keeps the checkpoint's weights.

    Args:
        seed: of the draw.
        settings: of ``draw_start_weights``.
        then: called with the Runner and its bare model once the weights are there.
    """

    def __init__(self, seed: int, settings: Mapping[str, float], then: Callable[[Any, torch.nn.Module], None]) -> None:
        self._seed = seed
        self._settings = dict(settings)
        self._then = then

    def before_train(self, runner: Any) -> None:
        """Draw the weights, on the host."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not (runner._load_from or runner._resume):
            draw_start_weights(model, self._seed, **self._settings)
        self._then(runner, model)
