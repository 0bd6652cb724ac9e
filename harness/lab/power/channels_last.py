"""Weights with channels last in memory: the same numbers, other kernels."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook

__all__ = ["ChannelsLastHook"]


class ChannelsLastHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Lays the model's weights out with channels last."""

    priority = "HIGHEST"

    def before_train(self, runner: Any) -> None:
        """Before the start weights are drawn into them, and before the recorder takes hold of them."""
        runner.model.to(memory_format=torch.channels_last)
