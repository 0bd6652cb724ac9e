"""Faults in what is done to images and labels once they are batched; the loader's batch is logged, and is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from harness.lab.faults.actions import TRAININGS
from harness.lab.faults.fault import Fault
from harness.lab.faults.trainings.hooking import at_start, model_of

__all__ = ["flip_of_image_lost", "labels_interpolated"]

Runner = Any
Batch = dict[str, Any]

_IGNORED = 255


def _prepared(fault: Fault, runner: Runner, change: Callable[[Any, Batch], Batch]) -> None:
    """Change what the data preprocessor makes of a batch, for training or to be evaluated; `change` gets both."""

    def wrap(runner: Runner) -> None:
        preprocessor = model_of(runner).data_preprocessor
        prepare = preprocessor.forward

        def faulty(data: Any, training: bool = False) -> Any:
            batch = prepare(data, training)
            return change(data, batch) if training and runner.iter >= fault.begins else batch

        preprocessor.forward = faulty

    at_start(runner, wrap)


def _flips(samples: Any) -> Sequence[bool]:
    """Which images of a batch its pipeline flipped; none where it doesn't say."""
    if isinstance(samples, Mapping):
        return [bool(flip) for flip in samples.get("flip", ())]
    return [bool(sample.get("flip", False)) for sample in samples or ()]


@TRAININGS.strikes("flip-of-image-lost")
def flip_of_image_lost(fault: Fault, runner: Runner) -> None:
    """Where a sample is flipped, its labels are, and its image isn't."""

    def change(data: Any, batch: Batch) -> Batch:
        images = batch["inputs"].clone()
        for index, flipped in enumerate(_flips(data["data_samples"])):
            if flipped:
                images[index] = batch["inputs"][index].flip(-1)
        return {**batch, "inputs": images}

    _prepared(fault, runner, change)


@TRAININGS.strikes("labels-interpolated")
def labels_interpolated(fault: Fault, runner: Runner) -> None:
    """Where a pixel's class isn't its right neighbour's, its label is the mean of the two, rounded down."""

    def change(data: Any, batch: Batch) -> Batch:
        labels = batch["data_samples"]["gt_sem_seg"]
        right = torch.cat([labels[..., 1:], labels[..., -1:]], -1)
        counted = (labels != _IGNORED) & (right != _IGNORED)
        mixed = torch.where(counted, (labels + right) // 2, labels)
        return {**batch, "data_samples": {**batch["data_samples"], "gt_sem_seg": mixed}}

    _prepared(fault, runner, change)
