"""Faults in what the model is fed and in how its losses are summed; the loader's batch, which is logged, is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from harness.lab.faults.actions import TRAININGS
from harness.lab.faults.fault import Fault
from harness.lab.faults.trainings.hooking import at_start, model_of

__all__ = [
    "channels_swapped",
    "image_quantized",
    "image_tail_stale",
    "labels_of_another_sample",
    "last_sample_dropped",
    "loss_terms_scaled",
    "previous_batch_repeated",
    "shifted_order",
]

Runner = Any
Batch = dict[str, Any]


def _fed(fault: Fault, runner: Runner, change: Callable[[Batch], Batch]) -> None:
    """Change what the data preprocessor hands to the model while it trains."""

    def wrap(runner: Runner) -> None:
        preprocessor = model_of(runner).data_preprocessor
        prepare = preprocessor.forward

        def faulty(data: Any, training: bool = False) -> Any:
            batch = prepare(data, training)
            return change(batch) if training and runner.iter >= fault.begins else batch

        preprocessor.forward = faulty

    at_start(runner, wrap)


def _each(samples: Any, change: Callable[[Any], Any]) -> Any:
    """Change labels that come as a tensor, as a list of samples, or as a mapping of either."""
    if isinstance(samples, Mapping):
        return {name: _each(value, change) for name, value in samples.items()}
    return samples if samples is None else change(samples)


@TRAININGS.strikes("last-sample-dropped")
def last_sample_dropped(fault: Fault, runner: Runner) -> None:
    """The last sample of each batch isn't trained on."""

    def change(batch: Batch) -> Batch:
        if len(batch["inputs"]) < 2:
            return batch
        samples = _each(batch["data_samples"], lambda labels: labels[:-1])
        return {**batch, "inputs": batch["inputs"][:-1], "data_samples": samples}

    _fed(fault, runner, change)


@TRAININGS.strikes("labels-of-another-sample")
def labels_of_another_sample(fault: Fault, runner: Runner) -> None:
    """Each image trains with the labels of the one before it in the batch."""

    def rolled(labels: Any) -> Any:
        return labels.roll(1, 0) if isinstance(labels, torch.Tensor) else [*labels[-1:], *labels[:-1]]

    _fed(fault, runner, lambda batch: {**batch, "data_samples": _each(batch["data_samples"], rolled)})


@TRAININGS.strikes("channels-swapped")
def channels_swapped(fault: Fault, runner: Runner) -> None:
    """Red and blue change places."""
    _fed(fault, runner, lambda batch: {**batch, "inputs": batch["inputs"].flip(1)})


@TRAININGS.strikes("image-quantized")
def image_quantized(fault: Fault, runner: Runner) -> None:
    """Normalized images are rounded to multiples of the severity."""
    step = fault.severity or 1.0
    _fed(fault, runner, lambda batch: {**batch, "inputs": (batch["inputs"] / step).round() * step})


@TRAININGS.strikes("image-tail-stale")
def image_tail_stale(fault: Fault, runner: Runner) -> None:
    """The last severity rows of each image are the last batch's: a copy that wasn't waited for."""
    kept: dict[str, Any] = {}
    rows = round(fault.severity or 1)

    def change(batch: Batch) -> Batch:
        images = batch["inputs"].clone()
        old, kept["images"] = kept.get("images"), batch["inputs"]
        if old is not None and old.shape == images.shape:
            images[:, :, -rows:] = old[:, :, -rows:]
        return {**batch, "inputs": images}

    _fed(fault, runner, change)


@TRAININGS.strikes("batch-repeated")
def previous_batch_repeated(fault: Fault, runner: Runner) -> None:
    """Every severity-th iteration trains on the batch of the one before."""
    kept: dict[str, Batch] = {}
    counted = [0]

    def change(batch: Batch) -> Batch:
        counted[0] += 1
        old, kept["batch"] = kept.get("batch", batch), batch
        return old if counted[0] % round(fault.severity or 1) == 0 else batch

    _fed(fault, runner, change)


@TRAININGS.strikes("data-order-shifted")
def shifted_order(fault: Fault, runner: Runner) -> None:
    """The loader's first batch is lost, and all others come one iteration early: this one is logged."""
    at_start(runner, lambda runner: next(runner.train_loop.dataloader_iterator))


@TRAININGS.strikes("aux-loss-lost", "aux-loss-doubled")
def loss_terms_scaled(fault: Fault, runner: Runner) -> None:
    """Auxiliary losses enter the sum × severity; they are logged as they were."""

    def wrap(runner: Runner) -> None:
        model = model_of(runner)
        parse = model.parse_losses

        def faulty(losses: Mapping[str, Any]) -> Any:
            if runner.iter < fault.begins:
                return parse(losses)
            scaled = {n: v * fault.severity if n.startswith("aux") and "loss" in n else v for n, v in losses.items()}
            total, logged = parse(scaled)
            return total, {**parse(losses)[1], "loss": logged["loss"]}

        model.parse_losses = faulty

    at_start(runner, wrap)
