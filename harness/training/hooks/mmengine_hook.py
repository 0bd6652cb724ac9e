"""mmengine's Runner, watched in place: a hook in the config of a training that isn't started by `align`.

custom_imports = dict(imports=["harness.training.hooks.mmengine_hook"])
custom_hooks = [dict(type="AlignmentHook", folder="runs/cuda")]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from harness.running.settings_of_config import effective_settings
from harness.training.mmengine_runner import RunnerTraining
from harness.training.own_loop import settings_of
from harness.training.watching import Watch, watch_training
from harness.values.errors import UsageError

__all__ = ["AlignmentHook"]


@HOOKS.register_module()
class AlignmentHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Watches the Runner's training.

    Args:
        folder: where the run leaves its files.
        case: its name; the config's where empty, the script's where there is none.
        **settings: of ``harness.watch``; the config's own settings are compared.
    """

    priority = "VERY_HIGH"

    def __init__(self, folder: str | Path, case: str = "", **settings: Any) -> None:
        self._folder, self._case, self._settings = folder, case, settings
        self._watch: Watch | None = None

    def before_train(self, runner: Any) -> None:
        """Called by mmengine when model, optimizer and schedule have been built."""
        if get_world_size() > 1:
            raise UsageError(
                "a training in several processes can't be watched in place",
                where="AlignmentHook",
                observed=f"{get_world_size()} processes",
                hint="align record CONFIG --launcher pytorch, which watches them all",
            )
        training = RunnerTraining(runner)
        case = self._case or (Path(runner.cfg.filename).stem if runner.cfg.filename else "")
        told = effective_settings(runner.cfg)
        # The hook is no part of what is trained.
        told = {name: text for name, text in told.items() if name and not name.startswith("custom_hooks")}
        told |= {} if training.has_config else settings_of(training, {})
        settings = {"seed": int(runner.seed or 0), **self._settings}
        self._watch = watch_training(training, told, folder=self._folder, case=case, **settings).__enter__()

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Called by mmengine before each iteration."""
        if self._watch is not None:
            self._watch.open_step(data_batch)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Called by mmengine after each iteration."""
        if self._watch is not None:
            self._watch.log(outputs or {})
            self._watch.close_step()

    def after_train(self, runner: Any) -> None:
        """Called by mmengine after the last iteration."""
        if self._watch is not None:
            self._watch.__exit__(None, None, None)
            self._watch = None
