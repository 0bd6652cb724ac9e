"""Hugging Face's Trainer, watched in place.

    trainer = Trainer(...)
    watch_trainer(trainer, folder="runs/cuda")
    trainer.train()

An iteration is one step of the optimizer, with all the batches whose gradients it takes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback

from harness.training.watching import Watch, watch
from harness.values.errors import UsageError

__all__ = ["watch_trainer"]


def watch_trainer(trainer: Trainer, *, folder: str | Path, **settings: Any) -> None:
    """Watch the training that ``trainer.train()`` will make.

    Args:
        trainer: built, and not yet training.
        folder: where the run leaves its files.
        **settings: of ``harness.watch``. Beside them the settings that Trainer has of its own are compared: batch
            size, accumulation, clipping, schedule and precision.

    Raises:
        UsageError: it is watched already, or trains in several processes.
    """
    if trainer.args.world_size > 1 or trainer.args.n_gpu > 1:
        raise UsageError(
            "a training in several processes can't be watched in place",
            where="watch_trainer",
            observed=f"{trainer.args.world_size} processes, {trainer.args.n_gpu} cards",
            allowed="one process on one card",
            hint="CUDA_VISIBLE_DEVICES=0 python …",
        )
    if any(isinstance(callback, _Watching) for callback in trainer.callback_handler.callbacks):
        raise UsageError("the trainer is watched already", where="watch_trainer")
    args = trainer.args
    own = {
        "per_device_train_batch_size": args.per_device_train_batch_size,
        "gradient_accumulation_steps": args.gradient_accumulation_steps,
        "max_grad_norm": args.max_grad_norm,
        "lr_scheduler_type": str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)),
        "warmup_steps": args.warmup_steps,
        "precision": "bf16" if args.bf16 else "fp16" if args.fp16 else "fp32",
    }
    settings = {**settings, "settings": {**own, **(settings.get("settings") or {})}}
    watching = _Watching(trainer, functools.partial(watch, folder=folder, **settings))
    trainer.add_callback(watching)
    trainer.get_batch_samples = watching.keeping(trainer.get_batch_samples)
    trainer.training_step = watching.adding(trainer.training_step)
    trainer.train = watching.ending(trainer.train)


class _Watching(TrainerCallback):  # type: ignore[misc]  # the library is followed loosely
    def __init__(self, trainer: Trainer, begin: Callable[..., Watch]) -> None:
        self._trainer, self._begin = trainer, begin
        self._watch: Watch | None = None
        self._batches: Any = None
        self._loss: Any = None

    def keeping(self, get_batch_samples: Callable[..., Any]) -> Callable[..., Any]:
        """Trainer takes the batches of a step before the step begins."""

        @functools.wraps(get_batch_samples)
        def kept(*args: Any, **kwargs: Any) -> Any:
            taken = get_batch_samples(*args, **kwargs)
            self._batches = taken[0]
            return taken

        return kept

    def adding(self, training_step: Callable[..., Any]) -> Callable[..., Any]:
        """The losses of a step's batches, which Trainer has scaled to be added up."""

        @functools.wraps(training_step)
        def added(*args: Any, **kwargs: Any) -> Any:
            loss = training_step(*args, **kwargs)
            self._loss = loss.detach() if self._loss is None else self._loss + loss.detach()
            return loss

        return added

    def ending(self, train: Callable[..., Any]) -> Callable[..., Any]:
        """However the training ends, the watch is left."""

        @functools.wraps(train)
        def ended(*args: Any, **kwargs: Any) -> Any:
            try:
                result = train(*args, **kwargs)
            except BaseException as failure:
                self._leave(type(failure))
                raise
            self._leave(None)
            return result

        return ended

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        self._watch = self._begin(model, self._trainer.optimizer).__enter__()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._loss = None
        if self._watch is not None:
            self._watch.open_step(self._batches)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._watch is not None:
            self._watch.log(loss=self._loss)
            self._watch.close_step()

    def _leave(self, kind: type[BaseException] | None) -> None:
        watching, self._watch = self._watch, None
        if watching is not None:
            watching.__exit__(kind, None, None)
