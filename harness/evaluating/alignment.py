"""An evaluation held against a reference's, on disk: images are read one at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.accuracy.same_weights import judge_same_weights
from harness.evaluating.evaluation_pass import Evaluation, read_evaluation
from harness.evaluating.reference_folder import (
    compare_sides,
    healthy_folders,
    movement_of,
    read_reference,
    require_comparable,
)
from harness.values.errors import UsageError
from harness.values.verdict import Agreement, Verdict

__all__ = ["judge_against"]


def judge_against(
    folder: Path, candidate: Evaluation, tier: str, false_alarm_rate: float, *, by_image: bool = False
) -> Verdict:
    """The verdict on an evaluation's answers.

    Args:
        folder: the reference's.
        candidate: done, with the reference's weights, of its images or of some of them.
        tier: precision tier of the reference's repeats.
        false_alarm_rate: of the verdict.
        by_image: whether each image is a cluster of its own.

    Raises:
        UsageError: the two aren't comparable.
        RunError: the reference is missing or damaged, or has no margins.
    """
    reference = read_reference(folder)
    require_comparable(reference, candidate)
    names = {row.image for row in candidate.rows}
    healthy = []
    for place in healthy_folders(folder, tier):
        repeat = read_evaluation(place)
        rows = tuple(row for row in repeat.rows if row.image in names)
        if len(rows) != len(names):
            raise UsageError(
                "a repeat of the reference lacks images",
                where=place,
                observed=f"{len(rows)} of {len(names)}",
                hint="the reference's own command goes on where it was",
            )
        healthy.append(compare_sides(reference, replace(repeat, rows=rows), by_image=by_image))
    side = compare_sides(reference, candidate, by_image=by_image)
    verdict = judge_same_weights(
        reference.identity.case,
        side,
        healthy,
        movement_of(side, candidate, by_image=by_image),
        reference.identity.table.class_names,
        tier=tier,
        false_alarm_rate=false_alarm_rate,
    )
    return replace(verdict, agreements=_agreements(reference, candidate))


def _agreements(reference: Evaluation, candidate: Evaluation) -> tuple[Agreement, ...]:
    one, other = reference.identity, candidate.identity

    def row(what: str, left: str, right: str, *, required: bool = True) -> Agreement:
        return Agreement(what, left, right, required, left == right)

    return (
        row("case", one.case, other.case),
        row("checkpoint", one.checkpoint, other.checkpoint),
        row("images", f"{one.count}, {one.images[:12]}", f"{other.count}, {other.images[:12]}"),
        row("inference", one.inference, other.inference),
        row("device", _device(reference), _device(candidate), required=False),
        row("data", one.data, other.data, required=False),
    )


def _device(evaluation: Evaluation) -> str:
    asked, device = evaluation.identity.device, evaluation.device
    return f"{asked}, {device.name}" if device is not None else asked
