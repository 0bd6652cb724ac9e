"""The page of an evaluation: the scores, and the images that are answered worst beside their truth."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from harness.accuracy.image_counts import ImageCounts
from harness.accuracy.label_table import LabelTable
from harness.accuracy.scores import Score
from harness.evaluating.evaluation_folder import answer_file
from harness.evaluating.evaluation_pass import Evaluation
from harness.evaluating.kept_answers import read_kept
from reports.accuracy.score_data import remarks
from reports.run.environment import render

__all__ = ["WORST", "Picture", "score_page", "worst_images"]

WORST = 8
"""Images that are shown."""

_WIDEST = 640
"""Pixels that a shown picture is wide at most."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What an image looks like and what it holds: (H, W, 3) uint8 BGR, and (H, W) label ids."""

    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]


def worst_images(counts: Sequence[ImageCounts], table: LabelTable, number: int = WORST) -> list[tuple[str, float]]:
    """The images with the largest share of scored pixels answered wrong, and that share; the worst first."""
    scored = list(table.scored)
    shares = []
    for one in counts:
        total = int(one.confusion[scored].sum())
        if total:
            shares.append((one.image, 1 - int(one.confusion[scored, scored].sum()) / total))
    return sorted(shares, key=lambda pair: (-pair[1], pair[0]))[:number]


def score_page(evaluation: Evaluation, pictures: Mapping[str, Picture], command: str) -> str:
    """One HTML document that needs neither network nor script.

    Args:
        evaluation: that is done, with labels.
        pictures: of the worst images, by name.
        command: what makes it again.
    """
    scores, identity = evaluation.scores, evaluation.identity
    device = evaluation.device
    return render(
        "evaluation.html.j2",
        title=f"mIoU {_percent(scores.mean_iou)} · {identity.case}",
        script_source=Markup("; img-src data:"),
        case=identity.case,
        emulated=bool(device and device.emulated),
        tiles=[
            ("mIoU", _percent(scores.mean_iou), f"mean of {scores.counted} of {len(scores.classes)} classes"),
            ("pixel accuracy", _percent(scores.pixel_accuracy), "of the scored pixels"),
            ("mean accuracy", _percent(scores.mean_accuracy), "over the classes in the labels"),
            ("categories", _percent(scores.mean_category_iou), "mean IoU of categories"),
            ("nIoU", _percent(scores.mean_iiou), "classes with instances" if scores.with_instances else "not measured"),
            ("images a second", f"{evaluation.images_a_second:.3g}", identity.inference),
        ],
        remarks=remarks(scores, identity.count),
        sides=f"{device.name if device else identity.device}; {identity.data}; {identity.inference}",
        classes=[_row(score, identity.table) for score in scores.classes],
        categories=[_row(score, identity.table) for score in scores.categories],
        worst=[
            _shown(evaluation, name, share, pictures[name])
            for name, share in worst_images(evaluation.counts, identity.table)
            if name in pictures
        ],
        command=command,
    )


def _row(score: Score, table: LabelTable) -> dict[str, Any]:
    colour = next((label.colour for label in table.labels if label.name == score.name), None)
    return {
        "name": score.name,
        "iou": _percent(score.iou),
        "accuracy": _percent(score.accuracy),
        "iiou": _percent(score.iiou),
        "pixels": f"{score.pixels:,}".replace(",", "\u202f"),
        "colour": "#{:02x}{:02x}{:02x}".format(*colour) if colour else "",
    }


def _shown(evaluation: Evaluation, name: str, share: float, picture: Picture) -> dict[str, Any]:
    table = evaluation.identity.table
    answers = table.ids_of_answers[read_kept(answer_file(evaluation.folder, name))].astype(np.uint8)
    colours = np.array([label.colour for label in table.labels], np.uint8)[:, ::-1]
    ignored = np.array([label.ignored for label in table.labels])
    wrong = (answers != picture.labels) & ~ignored[picture.labels]
    truth = np.where(ignored[picture.labels][..., None], np.uint8(0), colours[picture.labels])
    return {
        "name": name,
        "share": _percent(share),
        "views": [
            ("image", _embedded(picture.image, smooth=True)),
            ("truth", _embedded(truth)),
            ("answer", _embedded(colours[answers])),
            ("wrong pixels", _embedded(np.where(wrong, np.uint8(255), np.uint8(40)))),
        ],
    }


def _embedded(pixels: npt.NDArray[np.uint8], *, smooth: bool = False) -> Markup:
    """A picture as the address of itself; label maps are thinned, not blended, so that each colour stays one."""
    height, width = pixels.shape[:2]
    if width > _WIDEST:
        how = cv2.INTER_AREA if smooth else cv2.INTER_NEAREST
        pixels = cv2.resize(pixels, (_WIDEST, max(1, height * _WIDEST // width)), interpolation=how)
    ending, options = (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 85]) if smooth else (".png", [cv2.IMWRITE_PNG_COMPRESSION, 9])
    _, content = cv2.imencode(ending, np.ascontiguousarray(pixels), options)
    kind = "jpeg" if smooth else "png"
    return Markup(f"data:image/{kind};base64,{base64.b64encode(content.tobytes()).decode()}")  # noqa: S704  # our bytes


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}\u202f%"
