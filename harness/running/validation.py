"""Validation during a training: mmengine's own loop, asked and scored as `align evaluate` asks and scores.

A config says it by ``val_cfg = dict(type="ValidationLoop")`` and ``train_cfg = dict(val_interval=4000, …)``, or
``align train --val-interval 4000`` does. What isn't said (data, evaluator, best checkpoint) is filled in by
``add_validation``: the validation split of the data set that is trained on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import is_model_wrapper
from mmengine.registry import LOOPS, METRICS
from mmengine.runner import ValLoop

from harness.accuracy.image_counts import ImageCounts, count_image
from harness.accuracy.scores import score_counts
from harness.inference.inference import answer_image
from harness.inference.inference_settings import settings_of
from harness.running.folder import VALIDATING, VALIDATIONS
from harness.store.atomic import write_text
from harness.store.decoding import complete_lines, decode_value, encode_value
from harness.values.bounds import Count
from harness.values.errors import DataError, RunError
from models.datasets.evaluation_set import EvaluationSet, as_evaluation_set, evaluated_settings
from models.datasets.transforms.loading import read_image
from models.registry import SCOPE

__all__ = ["Validation", "ValidationLoop", "ValidationScores", "add_validation", "read_validations"]

_BEST = "mIoU"


@final
@dataclass(frozen=True)
class Validation:
    """One validation: a line of ``validations.jsonl``.

    Args:
        iteration: after how many iterations.
        mean_iou: percent, over the classes that occur in labels or answers.
        mean_accuracy: percent, over the classes that occur in labels.
        pixel_accuracy: percent.
        images: how many.
        seconds: that it took.
    """

    iteration: Count
    mean_iou: float
    mean_accuracy: float
    pixel_accuracy: float
    images: Count
    seconds: float


@LOOPS.register_module()
class ValidationLoop(ValLoop):  # type: ignore[misc]  # mmengine is not typed
    """Asks the model for each image at its own size, as the config's ``test_cfg`` says; a pass an image.

    Settings as of mmengine's ``ValLoop``; with ``fp16`` the model is asked under autocast.
    """

    def __init__(self, *settings: Any, **named: Any) -> None:
        super().__init__(*settings, **named)
        self._data = as_evaluation_set(self.dataloader.dataset)

    def run(self) -> dict[str, float]:
        """Validate, and leave a line in the run's folder."""
        started = time.monotonic()
        scores: dict[str, float] = super().run()
        if self.runner.rank == 0:
            path = Path(self.runner.work_dir) / VALIDATIONS
            # a run that goes on from a checkpoint makes those after it again
            before = [line for line in read_validations(path.parent) if line.iteration < self.runner.iter]
            told = Validation(
                self.runner.iter,
                scores["mIoU"],
                scores["mAcc"],
                scores["aAcc"],
                len(self.dataloader.dataset),
                time.monotonic() - started,
            )
            write_text(path, "".join(encode_value(line, indent=None) for line in (*before, told)))
        return scores

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: Mapping[str, Any]) -> None:
        """Ask the model for the images of a batch, one after the other, and count its answers."""
        self.runner.call_hook("before_val_iter", batch_idx=idx, data_batch=data_batch)
        data = self._data
        model = self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        settings = settings_of(self.runner.cfg, {"amp": bool(self.fp16)})
        device = next(model.parameters()).device
        counts = []
        for index in data_batch["index"]:
            files = data.files[int(index)]
            image = read_image(files.image)
            answer = answer_image(model, image, settings, device, data.table.classes)
            labels = data.read_labels(files, (image.shape[0], image.shape[1]))
            counts.append(count_image(files.name, data.table.ids_of_answers[answer.classes], labels, data.table))
            if self.runner.rank == 0:
                (Path(self.runner.work_dir) / VALIDATING).touch()  # the watchdog waits for iterations else
        self.evaluator.process(data_samples=[{"counts": one, "data": data} for one in counts], data_batch=data_batch)
        self.runner.call_hook("after_val_iter", batch_idx=idx, data_batch=data_batch, outputs=counts)


@METRICS.register_module()
class ValidationScores(BaseMetric):  # type: ignore[misc]  # mmengine is not typed
    """The scores of ``align evaluate``, in percent: ``mIoU``, ``mAcc`` and ``aAcc``, as mmsegmentation calls them.

    Whole numbers are counted, an image once: the sums don't depend on batches, on processes, or on samples that a
    sampler repeats to give each process as many.
    """

    default_prefix = ""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._data: EvaluationSet | None = None

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the pixels of each pair of label and answer that occurs: of 150 classes few do in one image."""
        for sample in data_samples:
            counts: ImageCounts = sample["counts"]
            rows, columns = np.nonzero(counts.confusion)
            self._data = sample["data"]
            self.results.append((counts.image, rows, columns, counts.confusion[rows, columns]))

    def compute_metrics(self, results: list[tuple[str, Any, Any, Any]]) -> dict[str, float]:
        """The scores of all images.

        Raises:
            DataError: no pixel of the set has a class.
        """
        assert self._data is not None  # noqa: S101  # the first process has images
        table = self._data.table
        confusion = np.zeros((len(table.labels),) * 2, np.int64)
        for _, rows, columns, pixels in {result[0]: result for result in results}.values():
            confusion[rows, columns] += pixels
        scores = score_counts(confusion, None, table)
        if scores.mean_iou is None or scores.mean_accuracy is None or scores.pixel_accuracy is None:
            raise DataError("no pixel of the validation set has a class", where=self._data.place)
        means = {"mIoU": scores.mean_iou, "mAcc": scores.mean_accuracy, "aAcc": scores.pixel_accuracy}
        return {name: 100.0 * value for name, value in means.items()}


def add_validation(config: Any, interval: int) -> None:
    """Fill in what a config that validates doesn't say.

    Args:
        config: a Runner's; changed.
        interval: iterations between two validations; what the config says where 0. A config with a loop of its own
            keeps it.
    """
    own = config.get("val_cfg")
    if interval:
        config.train_cfg = {**(config.get("train_cfg") or {}), "val_interval": interval}
        config.val_cfg = own or {"type": "ValidationLoop"}
    elif not own:
        return
    if config.val_cfg.get("type") != "ValidationLoop":
        return
    if not config.get("val_dataloader"):
        dataset = {**evaluated_settings(config), "split": "val", "pipeline": [], "_scope_": SCOPE}
        sampler = {"type": "DefaultSampler", "shuffle": False}
        config.val_dataloader = {"batch_size": 1, "num_workers": 0, "sampler": sampler, "dataset": dataset}
    config.val_evaluator = config.get("val_evaluator") or {"type": "ValidationScores"}
    hooks = dict(config.get("default_hooks") or {})
    saving = dict(hooks.get("checkpoint") or {"type": "CheckpointHook", "by_epoch": False, "interval": interval or -1})
    saving.setdefault("save_best", _BEST)
    saving.setdefault("rule", "greater")
    config.default_hooks = {**hooks, "checkpoint": saving}


def read_validations(folder: Path) -> list[Validation]:
    """The validations of a run, in their order; none where it made none.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / VALIDATIONS
    if not path.exists():
        return []
    return [
        decode_value(line, Validation, f"{path}, line {number}", RunError, hint=f"rm {path}")
        for number, line in enumerate(complete_lines(path.read_bytes()), start=1)
        if line
    ]
