"""Scores as data: `scores.json`, with the Cityscapes script's names for what it has too."""

from __future__ import annotations

from typing import Any

from harness.accuracy.scores import NO_INSTANCE_MAPS, Scores
from harness.evaluating.evaluation_pass import Evaluation

__all__ = ["SCORES_SCHEMA", "score_data"]

SCORES_SCHEMA = 1


def score_data(evaluation: Evaluation, command: str) -> dict[str, Any]:
    """What `scores.json` holds; a number that doesn't exist is null, never NaN."""
    scores, identity = evaluation.scores, evaluation.identity
    device = evaluation.device
    return {
        "case": identity.case,
        "checkpoint": identity.checkpoint,
        "data": identity.data,
        "images": scores.images,
        "of": identity.count,
        "inference": identity.inference,
        "device": {"asked": identity.device, "name": device.name, "emulated": device.emulated} if device else None,
        "mIoU": scores.mean_iou,
        "mAcc": scores.mean_accuracy,
        "aAcc": scores.pixel_accuracy,
        "classes_in_mIoU": scores.counted,
        "in_neither_labels_nor_answers": list(scores.absent),
        "averageScoreClasses": scores.mean_iou,
        "averageScoreInstClasses": scores.mean_iiou,
        "averageScoreCategories": scores.mean_category_iou,
        "averageScoreInstCategories": scores.mean_category_iiou,
        "classScores": {score.name: score.iou for score in scores.classes},
        "classAccuracies": {score.name: score.accuracy for score in scores.classes},
        "classInstScores": {score.name: score.iiou for score in scores.classes},
        "categoryScores": {score.name: score.iou for score in scores.categories},
        "categoryInstScores": {score.name: score.iiou for score in scores.categories},
        "labels": {label.name: id_ for id_, label in enumerate(scores.table.labels)},
        "confMatrix": scores.confusion.tolist(),
        "remarks": remarks(scores, identity.count),
        "images_a_second": evaluation.images_a_second,
        "command": command,
    }


def remarks(scores: Scores, planned: int) -> list[str]:
    """What of the scores isn't what a reader may take it for."""
    said = [] if scores.with_instances else [f"nIoU {NO_INSTANCE_MAPS}"]
    if scores.images < planned:
        said.append(f"the first {scores.images} of {planned} images")
    if scores.absent:
        said.append(f"no part of the mIoU, in neither labels nor answers: {', '.join(scores.absent)}")
    return said
