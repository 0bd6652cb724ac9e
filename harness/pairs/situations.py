"""Situations: what a person would see in two curves, each told by a detector of its own.

A detector looks for one thing and says nothing where it isn't there. The first line of an answer is the headline of the
first that applies, in the order of ``find_situations``: what needs no comparable pair to be true comes first, then what
explains a difference away, then what is left to call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.pairs.deviation import is_logarithmic, relative_deviation
from harness.pairs.growth import COARSEST_ROUNDING, LARGEST_HEALTHY, Persistence, measure_persistence
from harness.pairs.joining import Pair, join
from harness.pairs.log import Series
from harness.pairs.printing import printed_unit
from harness.pairs.views import View
from harness.rules.bounded import percent
from harness.rules.dependence import MINIMUM_ITERATIONS, Data, measure_dependence
from harness.rules.relative import from_logarithm
from harness.values.trace import FloatArray
from harness.values.verdict import Agreement, Outcome

__all__ = ["Situation", "find_situations", "persistence_of"]

_FACTORS = {
    **{float(n): f"× {n}" for n in (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 100, 128, 256, 512, 1000, 1024)},
    **{1 / n: f"÷ {n}" for n in (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 100, 128, 256, 512, 1000, 1024)},
    math.log(2): "ln 2",
    1 / math.log(2): "1 / ln 2",
    math.log(10): "ln 10",
    1 / math.log(10): "1 / ln 10",
}
_EQUAL_BEFORE = 5
"""Iterations that agree in every digit, after which two runs part because something changed there."""

_LOGARITHMS = ("ln 2", "1 / ln 2", "ln 10", "1 / ln 10")


_EXPLAINS = {
    "zero": ("frozen",),
    "constant factor": ("starts apart", "drifts"),
    "smoothed": ("drifts",),
    "offset in numbering": ("other data", "starts apart"),
}
"""Situations that another one already says the cause of: they would contradict it."""


@dataclass(frozen=True)
class Situation:
    """What a person would see.

    Args:
        name: of the kind, for the finding.
        headline: at most 100 characters.
        outcome: what it means for the verdict: FAIL, INCONCLUSIVE, or INFO where it decides nothing.
        evidence: a sentence with the numbers.
        advice: what to do.
        iteration: where it begins.
        observed: the deviation there.
        allowed: what a healthy pair may show.
    """

    name: str
    headline: str
    outcome: Outcome
    evidence: str
    advice: str
    iteration: int | None = None
    observed: float | None = None
    allowed: float | None = None


def find_situations(view: View) -> list[Situation]:
    """What a person would see in two curves, the likeliest first.

    Args:
        view: two logs with at least one iteration in common.
    """
    found = [situation for detector in _DETECTORS if (situation := detector(view)) is not None]
    explained = {name for situation in found for name in _EXPLAINS.get(situation.name, ())}
    found = [situation for situation in found if situation.name not in explained]
    if not view.numbered:
        found = [_by_position(situation) for situation in found]
    return found


def _by_position(situation: Situation) -> Situation:
    """The same of logs that print no iterations: what depends on which records are paired decides nothing."""
    if situation.name in ("same run", "not finite", "zero", "frozen"):
        return situation
    return Situation(
        situation.name,
        f"numbered by position: {situation.headline}"[:100],
        Outcome.INCONCLUSIVE if situation.outcome is Outcome.FAIL else situation.outcome,
        f"a log prints no iterations, so that its records were paired by their position; {situation.evidence}",
        "print the iteration beside each loss",
        situation.iteration,
        situation.observed,
        situation.allowed,
    )


def _same_run(view: View) -> Situation | None:
    pair = view.pair
    equal = len(pair) >= MINIMUM_ITERATIONS and _equal_as_printed(pair) and np.ptp(pair.reference) > 0
    fine = view.resolution <= 2e-3  # printed more coarsely, equal values are no sign of one run
    apart = any(not row.agrees and row.what in ("device", "torch", "torch_sdaa", "driver") for row in view.agreements)
    clocks = view.reference.clock and view.candidate.clock and view.reference.clock != view.candidate.clock
    if not view.copied and not (equal and fine and not apart and not clocks):
        return None
    kind = "copies of one file" if view.copied else f"equal in every printed digit at all {len(pair)} common iterations"
    return Situation(
        "same run",
        f"same run: the two logs are {kind}",
        Outcome.INCONCLUSIVE,
        f"the two logs are {kind}, and nothing in them tells two runs apart (no clock, no device): such a pair says "
        "nothing about a port",
        "give the logs of two runs; where they are, let each print its date and device",
    )


def _equal_as_printed(pair: Pair) -> bool:
    """Whether the finer side, rounded to the coarser one's digits, is the coarser one."""
    if np.array_equal(pair.reference, pair.candidate):
        return True
    units = [printed_unit(side) for side in (pair.reference, pair.candidate)]
    if np.all(np.isnan(units)) or not np.isfinite(pair.reference).all() or not np.isfinite(pair.candidate).all():
        return False
    unit = float(np.nanmax(units))
    return bool(np.all(np.abs(pair.reference - pair.candidate) <= 0.501 * unit))


def _not_finite(view: View) -> Situation | None:
    pair = view.pair
    for side, log, values, outcome in (
        ("candidate", view.candidate, pair.candidate, Outcome.FAIL),
        ("reference", view.reference, pair.reference, Outcome.INCONCLUSIVE),
    ):
        bad = ~np.isfinite(values)
        lacking = sorted(set(log.lacking) & set(pair.only_reference.tolist())) if side == "candidate" else []
        if not bad.any() and not lacking:
            continue
        first = int(pair.iterations[int(np.argmax(bad))]) if bad.any() else lacking[0]
        if lacking and lacking[0] <= first:
            why = log.lacking[lacking[0]]
            evidence = (
                f"the {side} prints no {log.metric} at {len(lacking)} iterations from "
                f"{lacking[0]} on ({why}), where the "
                "reference does"
            )
            kind = "NaN (not printed)"
        else:
            value = values[int(np.argmax(bad))]
            kind = "NaN" if np.isnan(value) else "infinite"
            other = (pair.reference if side == "candidate" else pair.candidate)[int(np.argmax(bad))]
            evidence = (
                f"the {side}'s loss is {value} at {view.unit} {first} ({bad.sum()} of {len(pair)} "
                f"not finite); the other "
                f"side's is {other:.6g} there"
            )
        last = int(pair.iterations[-1]) if bad.any() else lacking[-1]
        goes_on = bool(bad.any() and bad[int(np.argmax(bad)) :].all()) or (not bad.any() and len(lacking) > 1)
        where = f"from {view.unit} {first} on" if goes_on and first != last else f"at {view.unit} {first}"
        return Situation(
            "not finite",
            f"{kind} {where}: the {side}'s loss",
            outcome,
            evidence,
            "look at the iterations before it: gradient norm, loss scale, and which operation is the first with a NaN",
            first,
        )
    return None


def _zero(view: View) -> Situation | None:
    pair = view.pair
    zeros = (pair.candidate == 0) & (pair.reference != 0)
    if not zeros.any() or not zeros[-1]:
        return None
    last = np.flatnonzero(~zeros)
    at = int(last[-1]) + 1 if len(last) else 0
    count = len(pair) - at
    if count < 2:
        return None
    first = int(pair.iterations[at])
    return Situation(
        "zero",
        f"zero: the candidate's loss is exactly 0 from {view.unit} {first} on",
        Outcome.FAIL,
        f"the candidate's loss is exactly 0 at the last {count} of {len(pair)} common iterations; the reference's is "
        f"{pair.reference[at]:.6g} at the first of them",
        "look at the logits and labels of that step: an overflow that becomes 0, or every label ignored",
        first,
        observed=-1.0,
    )


def _frozen(view: View) -> Situation | None:
    pair = view.pair
    if not view.finite or len(pair) < 10:
        return None
    still = np.diff(pair.candidate) == 0
    moved = np.flatnonzero(~still)
    at = int(moved[-1]) + 1 if len(moved) else 0
    count = len(pair) - at
    if count >= max(10, len(pair) // 5) and len(np.unique(pair.reference[at:])) > count // 2:
        first = int(pair.iterations[at])
        return Situation(
            "frozen",
            f"frozen: the candidate's loss never changes from {view.unit} {first} on",
            Outcome.FAIL,
            f"the candidate prints {pair.candidate[-1]:.6g} at each of the last {count} common iterations, where the "
            "reference's loss goes on changing",
            "check that the optimizer steps, that gradients reach the parameters, and that batches change",
            first,
        )
    return _learns_nothing(view)


def _learns_nothing(view: View) -> Situation | None:
    """A loss that doesn't fall, where the reference's does by far more than its scatter."""
    pair = view.pair
    if not is_logarithmic(pair.reference, pair.candidate):
        return None
    part = max(len(pair) // 5, 2)
    falls, errors = [], []
    for side in (pair.reference, pair.candidate):
        logs = np.log(np.maximum(side, np.finfo(float).tiny))
        scatter = float(np.diff(logs).std() / math.sqrt(2))
        falls.append(float(logs[:part].mean() - logs[-part:].mean()))
        errors.append(scatter * math.sqrt(2 / part))
    alike = abs(math.log(max(pair.candidate[0], 1e-300) / max(pair.reference[0], 1e-300))) <= 0.05
    surely = falls[0] > 0.2 and falls[0] - falls[1] > 5 * math.hypot(*errors)
    if not (alike and surely and falls[1] < 0.5 * falls[0]) or _contradicted(view):
        return None
    nothing = abs(falls[1]) < max(0.1 * falls[0], 2 * errors[1])
    ends = f"{pair.reference[-part:].mean():.4g} and {pair.candidate[-part:].mean():.4g}"
    head = "the candidate doesn't learn: its loss stays" if nothing else "the candidate learns less: its loss falls"
    return Situation(
        "frozen" if nothing else "learns less",
        f"{head} {'near ' if nothing else 'to '}{pair.candidate[-part:].mean():.3g}, the reference's falls to "
        f"{pair.reference[-part:].mean():.3g}",
        Outcome.FAIL if view.unit == "iteration" or falls[1] < 0.5 * falls[0] else Outcome.INCONCLUSIVE,
        f"both begin within 5 % of each other, and end at {ends} (reference and "
        f"candidate, mean of the last {part}): the "
        f"reference's loss falls by {percent(-from_logarithm(-falls[0]))}, the candidate's by "
        f"{percent(-from_logarithm(-falls[1]))}",
        "check that the optimizer steps, the learning rate and its schedule, and that gradients are not zero",
        int(pair.iterations[-1]),
        observed=view.relative(float(view.deviation[-part:].mean())),
    )


def _contradicted(view: View) -> list[Agreement]:
    return [row for row in view.agreements if row.required and not row.agrees]


def _other_settings(view: View) -> Situation | None:
    rows = _contradicted(view)
    if not rows:
        return None
    said = "; ".join(f"{row.what} {row.reference} against {row.candidate}" for row in rows)
    batch = next((row for row in rows if "batch" in row.what or row.what == "world size"), None)
    kind = "other batch or world size" if batch else f"other {rows[0].what}"
    shown = batch or rows[0]
    return Situation(
        "other settings",
        f"{kind}: {shown.what} {shown.reference} against {shown.candidate}"[:100],
        Outcome.INCONCLUSIVE,
        f"the two logs print settings that contradict each other: {said}",
        "run both sides with the same settings: a difference of the losses says nothing about the port before",
    )


def _factor(view: View) -> Situation | None:
    pair = view.pair
    if not view.finite or len(pair) < 5 or np.any(pair.reference <= 0) or np.any(pair.candidate <= 0):
        return None
    deviation = view.deviation
    center, scatter = float(np.median(deviation)), float(deviation.std())
    known = min(_FACTORS, key=lambda factor: abs(center - math.log(factor)))
    error = max(3 * scatter / math.sqrt(len(pair)), view.resolution, 1e-3)
    alike = scatter <= max(abs(center) / 10, 2 * view.resolution) and abs(deviation[0] - center) <= 5 * max(
        scatter, view.resolution, 1e-6
    )
    if abs(center) < COARSEST_ROUNDING + 3 * scatter / math.sqrt(len(pair)) or not alike:
        return None
    if len(pair) >= MINIMUM_ITERATIONS and not view.same_data:
        return None
    changes = np.ptp(np.log(pair.reference))
    if scatter > changes / 10:
        return None  # two curves that hardly move are always a factor apart
    factor = math.exp(center)
    if abs(center - math.log(known)) <= error:
        why = (
            "another base of the logarithm?" if _FACTORS[known] in _LOGARITHMS else "gradient accumulation, world size?"
        )
        return Situation(
            "constant factor",
            f"constant factor {_FACTORS[known]} at every iteration: {why}",
            Outcome.INCONCLUSIVE,
            f"the candidate's loss is {factor:.5g} times the reference's at each of "
            f"{len(pair)} common iterations, with a "
            f"scatter of {percent(scatter)}: the same training, printed in another unit",
            "divide one side by it, or log the same mean on both sides, and compare again",
            int(pair.iterations[0]),
            observed=factor - 1,
        )
    return Situation(
        "constant factor",
        f"constant factor {factor:.4g}: the candidate's loss is off by {percent(factor - 1)} throughout",
        Outcome.FAIL if view.numbered else Outcome.INCONCLUSIVE,
        f"the candidate's loss is {factor:.5g} times the reference's at each of "
        f"{len(pair)} common iterations, from the "
        f"first one on, with a scatter of {percent(scatter)}: the weights move alike, and "
        f"the loss is computed otherwise",
        "compare the loss of one batch by hand: reduction, ignored labels, weights of classes and of heads",
        int(pair.iterations[0]),
        observed=factor - 1,
        allowed=COARSEST_ROUNDING,
    )


def _moved(view: View) -> Situation | None:
    """An offset in numbering, or a resumed run beside a full one."""
    if view.same_data or not view.finite or view.unit == "epoch":
        return None
    shift = _best_shift(view.reference.series, view.candidate.series)
    if shift is None:
        return None
    small = abs(shift) <= max(1, int(np.median(np.diff(view.pair.iterations)))) if len(view.pair) > 1 else False
    head = (
        f"offset in numbering: the candidate's iterations fit once they are moved by {shift:+d}"
        if small
        else f"resumed run beside a full one: the candidate's iterations fit moved by {shift:+d}"
    )
    return Situation(
        "offset in numbering" if small else "resumed run",
        head,
        Outcome.INCONCLUSIVE,
        f"as they are numbered the two sides share {view.dependence} of their ups and downs; with the candidate's "
        f"iterations moved by {shift:+d} they fit"
        + (": one log may count from 0 and the other from 1" if small else ": it may go on from a checkpoint"),
        "number both logs alike, and compare again",
    )


def _best_shift(reference: Series, candidate: Series) -> int | None:
    """By how much the candidate's numbers have to be moved to fit the reference's; None where nothing fits."""
    steps = {int(step) for one in (reference, candidate) for step in np.unique(np.diff(one.iterations))}
    step = min(steps, default=0)
    if not step or max(len(reference), len(candidate)) > 20_000:
        return None
    gap = int(reference.iterations[0] - candidate.iterations[0])
    near = {-1, 1, -step, step, gap}
    far = range(-min(len(candidate), 2000) * step, min(len(reference), 2000) * step + 1, step)
    scores: dict[int, float] = {}
    for shift in sorted(near | {gap + one for one in far}):
        both = join(reference, Series(candidate.iterations + shift, candidate.values))
        if shift and len(both) >= MINIMUM_ITERATIONS:
            scores[shift] = float(np.median(np.abs(relative_deviation(both.reference, both.candidate))))
    for shift in sorted(scores, key=lambda one: (scores[one], abs(one)))[:3]:
        moved = join(reference, Series(candidate.iterations + shift, candidate.values))
        if measure_dependence(moved.reference, moved.candidate).data is Data.SAME:
            return shift
    return None


def _smoothed(view: View) -> Situation | None:
    pair = view.pair
    if not view.finite or len(pair) < MINIMUM_ITERATIONS or np.any(pair.reference <= 0) or np.any(pair.candidate <= 0):
        return None
    rough = [float(np.median(np.abs(np.diff(np.log(side), 2)))) for side in (pair.reference, pair.candidate)]
    if min(rough) <= 0 or max(rough) < 3 * min(rough):
        return None
    side = "candidate" if rough[1] < rough[0] else "reference"
    plain, smooth = (pair.reference, pair.candidate) if side == "candidate" else (pair.candidate, pair.reference)
    window, left, before = _mean_that_fits(plain, smooth)
    if left > 0.5 * before:
        return None
    times = max(rough) / min(rough)
    return Situation(
        "smoothed",
        f"smoothed on one side: the {side}'s loss is a mean over about {window} iterations",
        Outcome.INCONCLUSIVE,
        f"the {side}'s curve is {times:.0f} times smoother from one iteration to the "
        f"next; a mean of the other side over "
        f"{window} iterations leaves {percent(left)} of deviation, where {percent(before)} were",
        "log each iteration's own loss on both sides",
    )


def _mean_that_fits(plain: FloatArray, smooth: FloatArray) -> tuple[int, float, float]:
    """The window whose running mean of one side is closest to the other: the window, what is left, what was there."""
    before = float(np.median(np.abs(np.log(smooth / plain))))
    total = np.concatenate([[0.0], np.cumsum(plain)])
    best = (1, math.inf)
    for window in range(2, min(200, len(plain) // 2) + 1):
        at = np.arange(len(plain))
        low = np.maximum(at + 1 - window, 0)
        mean = (total[at + 1] - total[low]) / (at + 1 - low)
        left = float(np.median(np.abs(np.log(smooth / mean))))
        best = min(best, (window, left), key=lambda one: one[1])
        exponential = _exponential_mean(plain, 2 / (window + 1))
        left = float(np.median(np.abs(np.log(smooth / exponential))))
        best = min(best, (window, left), key=lambda one: one[1])
    return best[0], best[1], before


def _exponential_mean(values: FloatArray, share: float) -> FloatArray:
    from scipy.signal import lfilter  # imported here: it takes as long as all else that a command's start imports

    smoothed, _ = lfilter([share], [1, share - 1], values, zi=[values[0] * (1 - share)])
    return np.asarray(smoothed)


def _other_data(view: View) -> Situation | None:
    if view.dependence.data is not Data.OTHER or view.same_data or view.starts_alike:
        return None
    return Situation(
        "other data",
        f"other data or order: the losses go up and down without each other ({view.dependence.correlation:.2f})",
        Outcome.INCONCLUSIVE,
        f"the two sides did not see the same data: the changes from iteration to "
        f"iteration correlate at {view.dependence}",
        "fix the seed, turn shuffling off or share the order of the data, and compare again",
    )


def _starts_apart(view: View) -> Situation | None:
    if not view.finite or not view.at_start or view.first_apart <= view.allowed_start or view.starts_alike:
        return None
    first = int(view.pair.iterations[0])
    return Situation(
        "starts apart",
        f"starts apart: the losses are {percent(view.first_apart)} apart at iteration {first}{view.before_any_update}",
        Outcome.INCONCLUSIVE,
        f"at iteration {first}{view.before_any_update} the losses are "
        f"{percent(view.first_apart)} apart, and the coarsest "
        f"rounding explains {percent(view.allowed_start)}: other initial weights, another "
        f"batch or a wrong forward pass",
        "load the same weights on both sides and compare the loss of one batch before any update",
        first,
        observed=view.first_apart,
        allowed=view.allowed_start,
    )


def _drifts(view: View) -> Situation | None:
    if not view.finite or len(view.pair) < MINIMUM_ITERATIONS or not view.same_data:
        return None
    persistence = measure_persistence(view.deviation, view.resolution)
    if not persistence.called:
        return None
    pair, mean = view.pair, persistence.mean
    onset, latest = (
        int(pair.iterations[persistence.onset]),
        int(pair.iterations[min(persistence.onset_latest, len(pair) - 1)]),
    )
    last = view.relative(float(view.deviation[-min(5, len(pair)) :].mean()))
    failed = abs(mean) > COARSEST_ROUNDING + view.resolution and (
        view.starts_alike or view.first_apart <= view.allowed_start
    )
    where = f"iteration {onset}" if onset == latest or latest < onset else f"iterations {onset}–{latest}"
    equal = int(np.argmax(pair.reference != pair.candidate))
    head = f"drifts from {where} on: {_signed(last)} at the end, the same data and start"
    if equal >= _EQUAL_BEFORE:
        head = (
            f"drifts from {view.unit} {pair.iterations[equal]} on: {_signed(last)} at the end, "
            f"equal up to {pair.iterations[equal - 1]}"
        )
    return Situation(
        "drifts",
        head
        if failed
        else f"drifts a little: {_signed(view.relative(mean))} on average near iteration {onset}, always on one side",
        Outcome.FAIL if failed else Outcome.INCONCLUSIVE,
        f"the deviations stay on one side: {_signed(view.relative(mean))} on average over "
        f"{persistence.window} iterations, "
        f"{persistence.ratio:.0f} times their scatter of {percent(persistence.scatter)} "
        f"from one iteration to the next, "
        f"where no healthy pair was above {LARGEST_HEALTHY / 2:.1f}",
        f"look at iteration {onset} and the one before: gradient norms, the optimizer's settings, the learning rate",
        onset,  # the mean is of many iterations: it would be read as the deviation of this one
    )


def _spike(view: View) -> Situation | None:
    """A few iterations of the candidate far out, and the rest back where it was."""
    if not is_logarithmic(view.pair.reference, view.pair.candidate):
        return None
    if not view.finite or len(view.pair) < MINIMUM_ITERATIONS or not view.same_data:
        return None
    deviation = view.deviation
    usual = max(float(np.median(np.abs(deviation))), view.resolution, 1e-6)
    at = int(np.argmax(np.abs(deviation)))
    if abs(deviation[at]) < max(0.1, 10 * usual):
        return None
    beyond = np.abs(deviation) > max(abs(deviation[at]) / 10, 3 * usual)
    before, after = np.flatnonzero(~beyond[:at]), np.flatnonzero(~beyond[at:])
    start = int(before[-1]) + 1 if len(before) else 0
    if not len(after) or beyond.sum() > len(deviation) // 5:
        return None
    end = at + int(after[0])
    iterations = view.pair.iterations
    return Situation(
        "spike",
        f"spike at iteration {iterations[start]}: × {math.exp(deviation[at]):.3g}, recovered at {iterations[end]}",
        Outcome.INCONCLUSIVE,
        f"the candidate's loss is {math.exp(deviation[at]):.3g} times the reference's at "
        f"iteration {iterations[at]}, and "
        f"back within {percent(3 * usual)} at {iterations[end]}; the median deviation is {percent(usual)}",
        f"look at iteration {iterations[start]} on the candidate: its batch, gradient norm and loss scale",
        int(iterations[start]),
        observed=view.relative(float(deviation[at])),
    )


def _parts(view: View) -> Situation | None:
    """The same start, and then curves that go their own ways."""
    if not view.finite or not view.starts_alike or view.dependence.data is Data.SAME:
        return None
    apart = np.abs(view.deviation) - view.resolution
    if np.all(apart <= 0.01):
        return None
    at = int(np.argmax(apart > 0.01))
    early = int(np.argmax(apart > COARSEST_ROUNDING))
    first, low = int(view.pair.iterations[at]), int(view.pair.iterations[early])
    mean, error = float(view.deviation.mean()), float(view.deviation.std() / math.sqrt(len(view.pair)))
    where = f"iteration {first}" if low == first else f"iterations {low}–{first}"
    return Situation(
        "parts",
        f"parts from {where} on, after the same start; {_signed(view.relative(mean))} on average",
        Outcome.INCONCLUSIVE,
        f"the first two losses agree better than chance brings them "
        f"({percent(view.first_apart)}), so that both are the "
        f"same experiment; from iteration {first} on they are more than 1 % apart, {_signed(view.relative(mean))} ± "
        f"{percent(2 * error)} on average, and share {view.dependence} of their changes: "
        f"rounding that grew, or a fault",
        "log five digits, and give repeats of the reference (--repeat): they say how early healthy runs part",
        first,
        observed=view.relative(float(np.abs(view.deviation[at]))),
    )


def _ends_early(view: View) -> Situation | None:
    ends = [int(log.iterations[-1]) for log in (view.reference, view.candidate)]
    missing = view.pair.only_reference
    if ends[1] >= ends[0] or not len(missing) or len(view.candidate.lacking):
        return None
    beyond = int(np.sum(missing > ends[1]))
    if beyond < 2 or beyond < 0.05 * len(view.reference):
        return None
    return Situation(
        "ends early",
        f"ends early: the candidate stops at {view.unit} {ends[1]} of {ends[0]}",
        Outcome.INCONCLUSIVE,
        f"the candidate lacks the last {beyond} records of the reference's {len(view.reference)}",
        "find out why it stopped (its output's end), and run it to the same iteration",
        ends[1],
    )


def _begins_late(view: View) -> Situation | None:
    firsts = [int(log.iterations[0]) for log in (view.reference, view.candidate)]
    before = int(np.sum(view.pair.only_reference < firsts[1]))
    if firsts[1] <= firsts[0] or before < 2 or before < 0.05 * len(view.reference):
        return None
    return Situation(
        "resumed run",
        f"resumed run: the candidate begins at {view.unit} {firsts[1]}, the reference at {firsts[0]}",
        Outcome.INCONCLUSIVE,
        f"the candidate lacks the first {before} records of the reference's {len(view.reference)}: it goes on from a "
        "checkpoint, and what was done before it isn't in this log",
        "give the candidate's log from its first iteration on, or the logs of both parts joined",
        firsts[1],
    )


def _signed(relative: float) -> str:
    return f"{'+' if relative > 0 else '−'}{percent(abs(relative))}"


_DETECTORS: tuple[Callable[[View], Situation | None], ...] = (
    _same_run,
    _not_finite,
    _zero,
    _frozen,
    _other_settings,
    _factor,
    _moved,
    _smoothed,
    _other_data,
    _starts_apart,
    _drifts,
    _spike,
    _parts,
    _begins_late,
    _ends_early,
)


def persistence_of(view: View) -> Persistence | None:
    """How far a pair's deviations stay on one side; None where it can't be measured."""
    if not view.finite or len(view.pair) < 5:
        return None
    return measure_persistence(view.deviation, view.resolution)
