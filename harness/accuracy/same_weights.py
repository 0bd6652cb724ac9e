"""Evaluation alignment: the same weights on the same images, on a reference and on a candidate.

How far two healthy sides part follows from the reference itself, asked again with other rounding k times (the healthy
repeats, at a precision tier). Each repeat is compared with the plain reference as the candidate is, and each of four
numbers of the candidate is held to what those of the repeats allow, by Student's t of a further one:

- **answers**: the share of pixels that are answered otherwise, in logarithms, upwards alone;
- **margin**: the largest margin of the reference at which one is, in octaves, upwards alone: a pixel that the
  reference is sure of isn't turned by rounding;
- **mIoU**: the difference, whose mean over healthy repeats is 0;
- **classes**: by how many pixels each class is answered more or less often, likewise.

The false-alarm rate is divided by four, and of the last by the classes. A count can't scatter less than counting does,
nor a margin less than the steps that it is kept in. Without repeats nothing is judged: what parts is said. Nor is a
candidate that answers otherwise where repeats, few or far apart, would allow it of every pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from harness.accuracy.answer_comparison import NO_MARGIN, AnswerComparison
from harness.accuracy.moved_classes import Movement
from harness.accuracy.paired_difference import PairedDifference
from harness.values.errors import UsageError
from harness.values.verdict import Finding, Outcome, Status, Verdict

__all__ = ["FEWEST_REPEATS", "RULE", "Side", "judge_same_weights"]

RULE = "same weights"

FEWEST_REPEATS: Final = 3
"""Two give Student's t one degree of freedom, with which every bound is beyond reach."""

_PARTS: Final = 4
_CODES_AN_OCTAVE: Final = 8


@final
@dataclass(frozen=True, eq=False)
class Side:
    """A side that answered with the reference's weights: the candidate, or a healthy repeat.

    Args:
        answers: compared with the plain reference's.
        difference: in mIoU; None where the images have no labels.
    """

    answers: AnswerComparison
    difference: PairedDifference | None

    @property
    def net(self) -> npt.NDArray[np.int64]:
        """(K,) pixels by which each class is answered more often than by the reference."""
        table = self.answers.table
        net: npt.NDArray[np.int64] = table.sum(axis=0) - table.sum(axis=1)
        return net


def judge_same_weights(
    name: str,
    candidate: Side,
    healthy: Sequence[Side],
    movement: Movement,
    classes: Sequence[str],
    *,
    tier: str,
    false_alarm_rate: float,
) -> Verdict:
    """The verdict on one candidate.

    Args:
        name: of the case.
        candidate: its side.
        healthy: the repeats of the reference at other rounding, of the same images.
        movement: what the classes' test over clusters says of the candidate.
        classes: their names.
        tier: the precision tier of the repeats.
        false_alarm_rate: chance that a candidate that is like a repeat fails.

    Raises:
        UsageError: a repeat has other images.
    """
    for side in healthy:
        if side.answers.pixels != candidate.answers.pixels:
            raise UsageError(
                "a repeat of the reference has other images",
                observed=f"{side.answers.pixels} pixels",
                allowed=f"{candidate.answers.pixels}",
            )
    told = [*_places(candidate, classes), _moved(movement, classes), *_interval(candidate)]
    said = _said(candidate)
    if len(healthy) < FEWEST_REPEATS:
        reason = (
            f"{said}; the reference has {len(healthy)} healthy repeats, fewer than {FEWEST_REPEATS}: what rounding "
            "does to its answers isn't known"
        )
        return Verdict(
            name, Status.INCONCLUSIVE, reason, (Finding(RULE, Outcome.INCONCLUSIVE, "answers", reason), *told)
        )
    share = false_alarm_rate / _PARTS
    found = [
        _answers(candidate, healthy, share, tier),
        *_margin(candidate, healthy, share, tier),
        *_accuracy(candidate, healthy, share, tier),
        *_classes(candidate, healthy, classes, share, tier),
    ]
    failed = [finding for finding in found if finding.status is Outcome.FAIL]
    if failed:
        return Verdict(
            name, Status.FAIL, failed[0].message, (*failed, *(f for f in found if f not in failed), *told),
            demanded_tier=tier,
        )  # fmt: skip
    unseen = [finding for finding in found if finding.status is Outcome.INCONCLUSIVE]
    if unseen:
        return Verdict(name, Status.INCONCLUSIVE, unseen[0].message, (*found, *told), demanded_tier=tier)
    reason = f"{said}; other rounding at {tier} does as much ({len(healthy)} repeats of the reference)"
    return Verdict(name, Status.PASS, reason, (*found, *told), aligned_tier=tier, demanded_tier=tier)


def _answers(candidate: Side, healthy: Sequence[Side], rate: float, tier: str) -> Finding:
    counts = np.array([side.answers.otherwise for side in healthy], float)
    logs = np.log1p(counts)
    # A count can't scatter less than counting does: at least 1/√n, relatively.
    bound = float(logs.mean()) + _reach(logs, rate, 1 / math.sqrt(max(1.0, counts.mean())))
    observed = math.log1p(candidate.answers.otherwise)
    pixels = candidate.answers.pixels
    allowed = math.expm1(bound) / pixels
    if allowed >= 1.0:
        return _blind(candidate, len(healthy), tier)
    failed = observed > bound
    message = (
        f"{_share(candidate.answers.share)} of the pixels are answered otherwise, "
        f"{'healthy repeats' if failed else 'of healthy repeats up to'} "
        + (f"at {tier} allow {_share(allowed)}" if failed else f"{_share(allowed)} may be at {tier}")
    )
    return _finding("answers", failed, message, candidate.answers.share, allowed, tier)


def _blind(candidate: Side, repeats: int, tier: str) -> Finding:
    """What the answers say where the repeats would allow every pixel to be another: nothing, but of equal ones."""
    message = (
        f"{_share(candidate.answers.share)} of the pixels are answered otherwise, "
        f"the {repeats} healthy repeats at {tier} would allow it of every pixel; more of them are needed"
    )
    outcome = Outcome.INCONCLUSIVE if candidate.answers.otherwise else Outcome.PASS
    return replace(_finding("answers", False, message, candidate.answers.share, 1.0, tier), status=outcome)


def _margin(candidate: Side, healthy: Sequence[Side], rate: float, tier: str) -> list[Finding]:
    largest = np.array([side.answers.largest for side in healthy], float)
    if candidate.answers.largest == NO_MARGIN:
        return []  # nothing is answered otherwise, as the answers' finding says
    octaves = np.maximum(largest, 0) / _CODES_AN_OCTAVE
    bound = float(octaves.mean()) + _reach(octaves, rate, 1 / _CODES_AN_OCTAVE)
    observed = candidate.answers.largest / _CODES_AN_OCTAVE
    failed = observed > bound
    size, allowed = _margin_of(observed), _margin_of(bound)
    message = (
        f"a pixel is answered otherwise where the reference was ahead by {size:.2g}; rounding at {tier} turns "
        + (f"pixels up to {allowed:.2g}")
    )
    return [_finding("margin", failed, message, size, allowed, tier)]


def _accuracy(candidate: Side, healthy: Sequence[Side], rate: float, tier: str) -> list[Finding]:
    differences = [side.difference.difference for side in healthy if side.difference is not None]
    if candidate.difference is None or len(differences) != len(healthy):
        return []
    bound = _reach_of_zero(np.array(differences), rate, 1e-9)
    observed = candidate.difference.difference
    failed = abs(observed) > bound
    message = f"the mIoU differs by {observed:+.3g} points, rounding at {tier} moves it by up to {bound:.2g}"
    return [_finding("mIoU", failed, message, observed / 100, bound / 100, tier)]


def _classes(candidate: Side, healthy: Sequence[Side], names: Sequence[str], rate: float, tier: str) -> list[Finding]:
    """The class that moved furthest beyond, or closest to, what rounding does; all that moved beyond are named."""
    nets = np.stack([side.net for side in healthy]).astype(float)
    moving = np.flatnonzero(np.abs(nets).sum(axis=0) + np.abs(candidate.net))
    if not len(moving):
        return []
    bounds = np.array([_reach_of_zero(nets[:, i], rate / len(names), 1.0) for i in moving])
    ratios = np.abs(candidate.net[moving]) / bounds
    worst = int(np.argmax(ratios))
    beyond = [names[moving[i]] for i in np.argsort(-ratios) if ratios[i] > 1]
    net, bound = int(candidate.net[moving[worst]]), float(bounds[worst])
    message = (
        f"{names[moving[worst]]} is answered at {abs(net)} pixels {'more' if net > 0 else 'fewer'}, "
        f"rounding at {tier} moves it by up to {bound:.3g}"
    )
    if len(beyond) > 1:
        message += f"; beyond their bounds too: {', '.join(beyond[1:])}"
    pixels = max(1, candidate.answers.pixels)
    return [_finding("classes", bool(beyond), message, net / pixels, bound / pixels, tier)]


def _places(candidate: Side, classes: Sequence[str]) -> list[Finding]:
    """Where the answers part: by class, and by the reference's margin."""
    table = candidate.answers.table
    moved = table - np.diag(np.diag(table))
    if not moved.sum():
        return []
    rows = table.sum(axis=1)
    shares = [(moved[i].sum() / rows[i], classes[i], int(moved[i].sum())) for i in range(len(classes)) if rows[i]]
    worst = sorted(shares, reverse=True)[:5]
    said = "; ".join(f"{name} {_share(share)} ({count})" for share, name, count in worst if count)
    found = [
        Finding(
            RULE,
            Outcome.INFO,
            "by class",
            f"of the pixels that the reference gives a class, answered otherwise: {said}",
        )
    ]
    pairs = candidate.answers.by_margin
    there = np.flatnonzero(pairs[:, 0])
    if len(there):
        bins = "; ".join(
            f"{_margin_of(float(i)):.1g}–{_margin_of(float(i) + 1):.1g}: {pairs[i, 0]} of {pairs[i, 1]}" for i in there
        )
        found.append(Finding(RULE, Outcome.INFO, "by margin", f"answered otherwise, by the reference's margin: {bins}"))
    return found


def _moved(movement: Movement, classes: Sequence[str]) -> Finding:
    significant = [moved for moved in movement.classes if moved.chance < 0.05]
    if not movement.classes:
        return Finding(RULE, Outcome.INFO, "movement", "no class is answered more or less often")
    together = "" if movement.chance is None else f"; all together, Bhapkar's test: p = {movement.chance:.2g}"
    if not significant:
        message = f"no class moves one way over {movement.clusters} clusters of images{together}"
    else:
        names = ", ".join(f"{classes[one.index]} {one.net:+d} pixels (p = {one.chance:.2g})" for one in significant)
        message = f"over {movement.clusters} clusters of images these classes move one way: {names}{together}"
    return Finding(RULE, Outcome.INFO, "movement", message)


def _interval(candidate: Side) -> list[Finding]:
    given = candidate.difference
    if given is None:
        return [Finding(RULE, Outcome.INFO, "interval", "not measured: the images have no labels")]
    if given.low is None or given.high is None:
        return [Finding(RULE, Outcome.INFO, "interval", "no interval of the mIoU's difference: one image alone")]
    message = (
        f"mIoU {given.difference:+.3g} points, {100 * given.confidence:g} % interval {given.low:+.3g} … "
        f"{given.high:+.3g} over {given.clusters} clusters of images (jackknife)"
    )
    return [Finding(RULE, Outcome.INFO, "interval", message)]


def _finding(signal: str, failed: bool, message: str, observed: float, allowed: float, tier: str) -> Finding:
    outcome = Outcome.FAIL if failed else Outcome.PASS
    return Finding(
        RULE, outcome, signal, message, observed=observed, allowed=allowed, smallest_detectable=allowed, tier=tier
    )


def _reach(values: npt.NDArray[np.float64], rate: float, least: float) -> float:
    """How far above their mean a further value may lie, at this chance of a larger one."""
    count = len(values)
    spread = max(float(values.std(ddof=1)), least)
    return float(stdtrit(count - 1, 1 - rate)) * spread * math.sqrt(1 + 1 / count)


def _reach_of_zero(values: npt.NDArray[np.float64], rate: float, least: float) -> float:
    """How far from 0 a further value may lie, where the mean of all is 0."""
    spread = max(math.sqrt(float((values**2).mean())), least)
    return float(stdtrit(len(values), 1 - rate / 2)) * spread


def _margin_of(octave: float) -> float:
    """A margin from its code's octave; code 200 is 1 (``harness.evaluating.kept_answers``)."""
    return float(2.0 ** (octave - 25))


def _said(candidate: Side) -> str:
    words = f"{_share(candidate.answers.share)} of the pixels are answered otherwise"
    given = candidate.difference
    return words if given is None else f"{words}, the mIoU differs by {given.difference:+.3g} points"


def _share(value: float) -> str:
    """A share of pixels."""
    return "0" if value == 0 else f"{100 * value:.2g} %"
