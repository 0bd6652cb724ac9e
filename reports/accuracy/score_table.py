"""Scores as text, in the form of the Cityscapes script, which the original ANN's README shows."""

from __future__ import annotations

from collections.abc import Sequence

from harness.accuracy.scores import NO_INSTANCE_MAPS, Score, Scores

__all__ = ["score_table", "shown"]

_LINE = "-" * 32
NOTHING = "  –  "


def score_table(scores: Scores) -> str:
    """The table of classes, and that of categories; ends in a newline.

    A class that occurs in neither labels nor answers, and one without instances, has a dash: it is no part of the mean,
    and below the table it says why.
    """
    lines = _rows("classes", scores.classes, scores.mean_iou, scores.mean_iiou)
    if scores.categories:
        lines += ["", *_rows("categories", scores.categories, scores.mean_category_iou, scores.mean_category_iiou)]
    lines += ["", f"pixel accuracy: {shown(scores.pixel_accuracy)}   mean accuracy: {shown(scores.mean_accuracy)}"]
    lines.append(f"mIoU is the mean of {scores.counted} of {len(scores.classes)} classes, over {scores.images} images")
    if scores.absent:
        lines.append(f"in neither labels nor answers: {', '.join(scores.absent)}")
    if not scores.with_instances:
        lines.append(f"nIoU {NO_INSTANCE_MAPS}")
    return "\n".join(lines) + "\n"


def shown(value: float | None) -> str:
    """Three digits, or a dash."""
    return NOTHING if value is None else f"{value:>5.3f}"


def _rows(title: str, scores: Sequence[Score], mean: float | None, instance_mean: float | None) -> list[str]:
    lines = [f"{title:<17}IoU      nIoU", _LINE]
    lines += [f"{score.name:<14}: {shown(score.iou)}    {shown(score.iiou)}".rstrip() for score in scores]
    return [*lines, _LINE, f"Score Average : {shown(mean)}    {shown(instance_mean)}".rstrip(), _LINE]
