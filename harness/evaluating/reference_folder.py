"""A reference of evaluation alignment on disk: plain answers with their margins, and healthy repeats beside them.

``<folder>/`` is a plain evaluation with ``--keep-margins``; ``<folder>/healthy-<tier>-<n>/`` is its n-th repeat at
other rounding. The folder is all that a candidate's machine needs: answers and counts, no weights and no images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.accuracy.answer_comparison import AnswerComparison, compare_answers
from harness.accuracy.moved_classes import Movement, moved_classes
from harness.accuracy.paired_difference import clusters_of, paired_difference
from harness.accuracy.same_weights import Side
from harness.evaluating.counts_stream import CountsOfRows
from harness.evaluating.evaluation_folder import answer_file, margin_file
from harness.evaluating.evaluation_pass import Evaluation, read_evaluation
from harness.evaluating.kept_answers import read_kept
from harness.values.errors import RunError, UsageError

__all__ = ["compare_sides", "healthy_folder", "healthy_folders", "movement_of", "read_reference", "require_comparable"]

_NAME = re.compile(r"healthy-(?P<tier>[a-z0-9]+)-(?P<number>[0-9]+)")


def healthy_folder(reference: Path, tier: str, number: int) -> Path:
    """Where the n-th repeat at a tier lies."""
    return reference / f"healthy-{tier}-{number}"


def healthy_folders(reference: Path, tier: str) -> list[Path]:
    """The repeats at a tier that are there, in their order."""
    found = [(int(match["number"]), path) for path, match in _repeats(reference) if match["tier"] == tier]
    return [path for _, path in sorted(found)]


def _repeats(reference: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    for path in reference.iterdir() if reference.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match is not None and path.is_dir():
            yield path, match


def require_comparable(reference: Evaluation, candidate: Evaluation) -> None:
    """The same weights, images and way of asking on both sides.

    Raises:
        UsageError: they aren't; says in what.
    """
    one, other = reference.identity, candidate.identity
    free = {"device": "", "profile": "", "faults": (), "noise": "", "data": ""}
    differences = replace(one, **free).differences(replace(other, **free))  # type: ignore[arg-type]
    if differences:
        raise UsageError(
            "the two evaluations aren't of the same weights, images and settings",
            where=candidate.folder,
            observed="; ".join(differences).replace(" there,", " on the reference,").replace(" now", " here"),
            hint="align evaluate with the reference's CONFIG, CHECKPOINT and options",
        )


def compare_sides(reference: Evaluation, other: Evaluation, *, by_image: bool = False) -> Side:
    """What another side answers otherwise than the reference, image by image; two images are in memory at a time.

    Args:
        reference: the plain one, with margins.
        other: with the same weights, of the reference's images or of some of them.
        by_image: whether each image is a cluster of its own.

    Raises:
        UsageError: it has images that the reference hasn't.
        RunError: answers are missing or damaged.
    """
    rows = {row.image: row for row in reference.rows}
    unknown = [row.image for row in other.rows if row.image not in rows]
    if unknown or not other.rows:
        raise UsageError(
            "the reference hasn't answered these images", where=reference.folder, observed=unknown[:3] or "no image"
        )
    classes = reference.identity.table.classes
    images = []
    for row in other.rows:
        margins = margin_file(reference.folder, row.image)
        images.append(
            compare_answers(
                row.image,
                read_kept(answer_file(reference.folder, row.image)),
                read_kept(answer_file(other.folder, row.image)),
                read_kept(margins) if margins.exists() else None,
                classes,
            )
        )
    difference = None
    if reference.has_labels and other.has_labels:
        asked = {row.image for row in other.rows}
        shared = [row for row in reference.rows if row.image in asked]
        counts = CountsOfRows(shared, reference.identity.table)
        difference = paired_difference(counts, other.counts, reference.identity.table, by_image=by_image)
    return Side(AnswerComparison(tuple(images)), difference)


def movement_of(side: Side, evaluation: Evaluation, *, by_image: bool = False) -> Movement:
    """What the classes' test over clusters of images says of a side."""
    if not evaluation.has_labels:
        names = [image.image for image in side.answers.images]
        return moved_classes(side.answers.net(dict(zip(names, names, strict=True))))
    names = [row.image for row in evaluation.rows]
    clusters = dict(zip(names, clusters_of(names, by_image=by_image), strict=True))
    return moved_classes(side.answers.net(clusters))


def read_reference(folder: Path) -> Evaluation:
    """The plain evaluation of a reference folder.

    Raises:
        RunError: it holds none, or one without margins.
    """
    reference = read_evaluation(folder)
    missing = [row.image for row in reference.rows if not margin_file(folder, row.image).exists()]
    if missing:
        raise RunError(
            "the reference keeps no margins",
            where=folder,
            observed=f"{len(missing)} images without",
            hint="align evaluate CONFIG CHECKPOINT --device DEVICE --as-reference --work-dir DIR",
        )
    return reference
