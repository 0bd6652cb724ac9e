"""Lightning's Trainer, watched in place.

    trainer = Trainer(callbacks=[WatchCallback(folder="runs/cuda")])

An iteration is one batch; with accumulated gradients some of them have no step of the optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from harness.training.watching import Watch, watch
from harness.values.errors import UsageError

__all__ = ["WatchCallback"]


class WatchCallback(Callback):  # type: ignore[misc]  # the library is followed loosely
    """Watches the training of ``Trainer.fit``.

    Args:
        folder: where the run leaves its files.
        **settings: of ``harness.watch``. Beside them Trainer's accumulation, clipping and precision are compared.
    """

    def __init__(self, folder: str | Path, **settings: Any) -> None:
        self._folder, self._settings = folder, settings
        self._watch: Watch | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Called by Lightning when model and optimizers are there."""
        if trainer.world_size > 1:
            raise UsageError(
                "a training in several processes can't be watched in place",
                where="WatchCallback",
                observed=f"{trainer.world_size} processes",
                allowed="Trainer(devices=1)",
            )
        own = {
            "accumulate_grad_batches": trainer.accumulate_grad_batches,
            "gradient_clip_val": trainer.gradient_clip_val,
            "precision": str(trainer.precision),
        }
        settings = {**self._settings, "settings": {**own, **(self._settings.get("settings") or {})}}
        self._watch = watch(pl_module, list(trainer.optimizers), folder=self._folder, **settings).__enter__()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Called by Lightning before a batch."""
        if self._watch is not None:
            self._watch.open_step(batch)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Called by Lightning after a batch; what ``training_step`` logged is read where it returned nothing."""
        if self._watch is None:
            return
        if isinstance(outputs, Mapping):
            losses = {name: value for name, value in outputs.items() if "loss" in name}
        else:
            losses = {"loss": outputs} if outputs is not None else dict(trainer.callback_metrics)
        self._watch.log(losses)
        self._watch.close_step()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Called by Lightning after the last batch."""
        self._leave(None)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Called by Lightning where the training ends in an error."""
        self._leave(type(exception))

    def _leave(self, kind: type[BaseException] | None) -> None:
        watching, self._watch = self._watch, None
        if watching is not None:
            watching.__exit__(kind, None, None)
