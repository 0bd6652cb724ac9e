"""The verdict on two bare logs: what they allow to be said, and what is missing to say more.

The first line names what a person would see in the two curves (see ``situations``). What is comparable fails where the
candidate's loss goes to one side as no healthy pair's does (see ``growth``), or is off by more than the field's own
tolerance, taken both ways and for sure. It passes where all deviations stay at tf32's rounding, or where enough repeats
of the reference say what healthy runs do and the candidate does the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.pairs.deviation import is_logarithmic, measure_deviation, relative_deviation
from harness.pairs.findings import (
    find_bias,
    find_data,
    find_decisions,
    find_finiteness,
    find_missing,
    find_rank_spread,
    find_spread,
    find_start,
)
from harness.pairs.growth import LARGEST_HEALTHY, TF32_ROUNDING
from harness.pairs.joining import Pair, cut_slice, join
from harness.pairs.log import Log
from harness.pairs.printing import agree_as_printed, identical
from harness.pairs.repeats import Repeats, distinct_runs, find_copies, judge_repeats
from harness.pairs.settings import compare_settings
from harness.pairs.situation import Situation
from harness.pairs.situations import find_situations, persistence_of
from harness.pairs.views import View
from harness.rules.bounded import percent
from harness.rules.dependence import MINIMUM_ITERATIONS, Data, measure_dependence
from harness.rules.legacy import LARGEST_MEAN_RELATIVE_ERROR, judge_legacy
from harness.rules.relative import from_logarithms
from harness.values.baseline import MINIMUM_REPEATS
from harness.values.verdict import Envelope, Finding, LegacyResult, Outcome, Status, Verdict

__all__ = ["judge_pair"]

_CERTAIN = ("same run", "not finite", "zero", "frozen", "ends early")
"""Situations that repeats can't explain away."""

_DRAWN = ("other data", "starts apart", "offset in numbering", "resumed run", "parts")
"""Situations that repeats of other seeds show, too: then the candidate is one more draw."""

_UNSTEADY = ("drifts", "frozen", "learns less", "zero")
"""Situations in which no constant deviation is looked for: how small a one would be seen says nothing."""

_LASTING = ("drifts", "constant factor", "learns less")


_OTHER_RUNS = (
    "give logs of other runs as repeats; where they are reruns of a deterministic device, let each print its date: "
    "equal ones then count once"
)
_OTHER_ROUNDING = (
    "the repeats are reruns of a deterministic device, which show no rounding: give runs that differ in it alone "
    "(another GPU type, other kernels, a batch in another order of summation), or judge by align verify"
)


@dataclass(frozen=True)
class _Answer:
    """The status, the one line that says why, and what to do next."""

    status: Status
    headline: str
    advice: str = ""
    tier: str = ""


def judge_pair(
    name: str,
    reference: Log,
    candidate: Log,
    repeats: Sequence[Log] = (),
    *,
    legacy: str = "all",
    numpy_spelling: bool = False,
    copied: bool = False,
) -> Verdict:
    """The verdict on two logs.

    Args:
        name: what to call the pair.
        reference: the trusted side's log.
        candidate: the ported side's log.
        repeats: more logs of the reference, of other healthy runs.
        legacy: the part of the common iterations that the legacy rule looks at, one of ``SLICES``.
        numpy_spelling: see ``judge_legacy``.
        copied: whether the two are one file, or copies of one.

    Returns:
        PASS, FAIL or INCONCLUSIVE, with a finding for each question that was asked.

    Raises:
        UsageError: there is no such legacy slice.
    """
    pair = join(reference.series, candidate.series)
    part = cut_slice(pair, legacy)
    agreements = compare_settings(reference.settings, candidate.settings)
    read = [*find_decisions("reference", reference), *find_decisions("candidate", candidate)]
    if not len(pair):
        headline = f"nothing in common: iterations {_extent(reference)} against {_extent(candidate)}"
        message = (
            f"no iteration is common: {_extent(reference)} on the reference's side, {_extent(candidate)} on the other"
        )
        nothing = Finding("join", Outcome.INCONCLUSIVE, "loss", message)
        return Verdict(name, Status.INCONCLUSIVE, headline, (nothing, *read), agreements)
    view = View(pair, reference, candidate, measure_dependence(pair.reference, pair.candidate), agreements, copied)
    situations = find_situations(view)
    findings = _look(view, [reference, candidate])
    seen = None
    if copies := find_copies(reference, candidate, repeats):
        answer = _Answer(Status.INCONCLUSIVE, f"repeats are copies: {copies}"[:100], _OTHER_RUNS)
        findings["copies"] = Finding("copies", Outcome.INCONCLUSIVE, "loss", f"{copies}: copies say nothing")
    elif len(runs := distinct_runs([reference, *repeats])) > 1:
        seen = judge_repeats([log.series for log in runs], candidate.series)
        findings |= {one.rule: one for one in (seen.findings if seen else ())}
        answer = _decide_by_repeats(view, situations, findings, seen, runs)
    else:
        answer = _decide_alone(view, situations, findings)
        if repeats and answer.status is Status.INCONCLUSIVE:
            answer = replace(answer, advice=_OTHER_ROUNDING)
    if reruns := len(repeats) + 1 - len(distinct_runs([reference, *repeats])):
        findings.setdefault("reruns", _find_reruns(reruns, len(repeats)))
    if "bias" in findings and any(situation.name in _UNSTEADY for situation in situations):
        findings["bias"] = replace(findings["bias"], smallest_detectable=None)
    said = [_as_finding(situation) for situation in situations]
    if answer.advice:
        said.append(Finding("next step", Outcome.INFO, "loss", answer.advice))
    return Verdict(
        case=name,
        status=answer.status,
        reason=answer.headline,
        findings=(*_ordered([*said, *findings.values()], answer), *read),
        agreements=agreements,
        legacy=_legacy(pair, part, numpy_spelling),
        aligned_tier=answer.tier,
        envelopes={"loss": seen.envelope if seen is not None else _overlay(pair)},
    )


def _find_reruns(reruns: int, repeats: int) -> Finding:
    message = (
        f"{reruns} of {repeats} repeats are equal to another run in every digit: a deterministic device repeats "
        "itself, which says nothing of how far rounding takes a run; equal ones count once"
    )
    return Finding("reruns", Outcome.INFO, "loss", message)


def _look(view: View, sides: Sequence[Log]) -> dict[str, Finding]:
    """Every question that the pair allows, by the rule's name."""
    pair = view.pair
    findings = {
        "finiteness": find_finiteness(pair),
        "join": find_missing(pair),
        "start": find_start(view),
        "same data": find_data(pair, view.dependence),
    }
    if view.finite and len(pair) >= 2:
        deviation = measure_deviation(pair.reference, pair.candidate)
        findings |= {"bias": find_bias(pair, deviation), "spread": find_spread(pair, deviation)}
    for side, log in zip(("reference", "candidate"), sides, strict=True):
        if spread := find_rank_spread(side, log.ranks):
            findings[f"rank spread of the {side}"] = spread
    return findings


def _decide_alone(view: View, situations: Sequence[Situation], findings: dict[str, Finding]) -> _Answer:
    """Without repeats of the reference."""
    if situations:
        first = situations[0]
        return _Answer(_status(first), first.headline, first.advice)
    pair, join_, bias = view.pair, findings["join"], findings.get("bias")
    whole = join_.status is not Outcome.INCONCLUSIVE
    if whole and agree_as_printed(pair, view.reference, view.candidate):
        return _Answer(
            Status.PASS, f"aligned: the losses agree to the last printed digit at all {len(pair)} iterations"
        )
    if passed := _at_rounding(view, whole=whole):
        findings["rounding"] = passed
        return _Answer(
            Status.PASS,
            f"aligned at tf32's rounding: within {percent(passed.observed or 0.0)} at all {len(pair)} iterations",
            tier="tf32",
        )
    if bias is not None and bias.status is Outcome.FAIL and view.numbered and view.dependence.data is Data.SAME:
        side = "above" if (bias.observed or 0.0) > 0 else "below"
        headline = (
            f"off on average: the candidate's loss is {percent(abs(bias.observed or 0.0))} {side} the reference's"
        )
        return _Answer(Status.FAIL, headline, "find the first iteration that is off, and what is done there")
    return _undecided(view, bias)


def _at_rounding(view: View, *, whole: bool) -> Finding | None:
    """A PASS without repeats: the same data, and no deviation beyond tf32's rounding, nor one that lasts."""
    pair = view.pair
    if not (view.finite and view.numbered and whole and view.same_data) or len(pair) < MINIMUM_ITERATIONS:
        return None
    if max(view.reference.window, view.candidate.window) > 1 or view.unit != "iteration" or view.resolution > 1e-3:
        return None
    persistence = persistence_of(view)
    largest = view.relative(float(np.abs(view.deviation).max()))
    allowed = TF32_ROUNDING + view.resolution
    if persistence is None or persistence.called or largest > allowed:
        return None
    at = int(pair.iterations[int(np.argmax(np.abs(view.deviation)))])
    message = (
        f"no iteration is further apart than {percent(largest)} (at {at}): one beyond "
        f"{percent(allowed)}, tf32's rounding "
        f"and a printed unit, or a lasting one beyond {percent(view.relative(LARGEST_HEALTHY * persistence.scatter))} "
        f"would not have passed; what changes "
        "the loss by less can't be seen in it"
    )
    return Finding(
        "rounding", Outcome.PASS, "loss", message, at, observed=largest, allowed=allowed, smallest_detectable=allowed,
        tier="tf32",
    )  # fmt: skip


def _undecided(view: View, bias: Finding | None) -> _Answer:
    repeats = (
        f"give at least {MINIMUM_REPEATS - 1} more logs of the reference (--repeat): they say how far healthy runs part"
    )
    pair = view.pair
    if not view.numbered:
        return _Answer(
            Status.INCONCLUSIVE,
            "numbered by position: a log prints no iterations, so that its records can't be paired for sure",
            "print the iteration beside each loss",
        )
    if len(pair) < MINIMUM_ITERATIONS:
        headline = f"too few: {len(pair)} common {view.unit}s, and {MINIMUM_ITERATIONS} are the least"
        return _Answer(Status.INCONCLUSIVE, headline, "log every iteration, and at least 100 of them")
    largest, mean = (view.relative(float(one)) for one in (np.abs(view.deviation).max(), view.deviation.mean()))
    if view.dependence.data is not Data.SAME:
        return _Answer(
            Status.INCONCLUSIVE,
            f"undecided: whether both saw the same data can't be told (changes correlate at "
            f"{view.dependence.correlation:.2f})",
            f"fix the seed and the order of the data, or {repeats}",
        )
    if bias is None or bias.status is not Outcome.PASS:
        return _Answer(
            Status.INCONCLUSIVE,
            f"undecided: {mean * 100:+.2g} % on average, up to {percent(largest)}; ±5 % is not sure either way",
            repeats,
        )
    return _Answer(
        Status.INCONCLUSIVE,
        f"aligned as far as this can show: within {percent(largest)} everywhere, {mean * 100:+.2g} % on average",
        repeats,
    )


def _decide_by_repeats(
    view: View,
    situations: Sequence[Situation],
    findings: dict[str, Finding],
    seen: Repeats | None,
    runs: Sequence[Log],
) -> _Answer:
    shuffled = not any(_same_data(runs[0], log) for log in runs[1:])
    left = [one for one in situations if not (shuffled and (one.name in _DRAWN or _is_seed_alone(one, view)))]
    certain = next((one for one in left if one.name in _CERTAIN), None)
    if certain is not None and certain.name != "ends early":
        return _Answer(_status(certain), certain.headline, certain.advice)
    other = next(
        (one for one in left if one.outcome is Outcome.INCONCLUSIVE and one.name not in ("spike", "ends early")), None
    )
    if other is not None and other.name not in (*_LASTING, "parts"):
        return _Answer(Status.INCONCLUSIVE, other.headline, other.advice)
    if seen is None:
        return _Answer(Status.INCONCLUSIVE, "the repeats have no iteration in common with the pair")
    if (failed := seen.failed) is not None:
        if not view.numbered:
            return _Answer(
                Status.INCONCLUSIVE, "numbered by position: the candidate leaves the reference's runs, so paired"
            )
        headline = _leaves(failed, len(runs))
        return _Answer(Status.FAIL, headline, f"look at iteration {failed.iteration} on the candidate")
    return _within(view, findings, seen, len(runs), certain, next((one for one in left if one.name in _LASTING), None))


def _within(  # noqa: PLR0911  # one return a reason why it is not enough
    view: View,
    findings: dict[str, Finding],
    seen: Repeats,
    runs: int,
    ends: Situation | None,
    lasting: Situation | None,
) -> _Answer:
    """The candidate stays where the repeats stay: is that enough?"""
    findings["what the repeats see"] = Finding("what the repeats see", Outcome.INFO, "loss", seen.seen)
    bias = findings.get("bias")
    if ends is not None:
        return _Answer(Status.INCONCLUSIVE, ends.headline, ends.advice)
    if not view.numbered:
        return _undecided(view, bias)
    if runs < MINIMUM_REPEATS:
        headline = f"{runs} runs of the reference are too few to pass: {MINIMUM_REPEATS - runs} more decide"
        return _Answer(Status.INCONCLUSIVE, headline, "give more logs of the reference (--repeat)")
    if findings["join"].status is Outcome.INCONCLUSIVE:
        return _Answer(
            Status.INCONCLUSIVE,
            "the candidate lacks iterations of the reference",
            "log the same iterations on both sides",
        )
    if lasting is not None:
        return _Answer(Status.INCONCLUSIVE, lasting.headline, lasting.advice)
    if bias is not None and bias.status is Outcome.FAIL:
        headline = (
            f"off by {percent(abs(bias.observed or 0.0))} on average from the reference, though within its repeats"
        )
        return _Answer(Status.INCONCLUSIVE, headline, "give repeats with the reference's own seed and data")
    if seen.lasting > LARGEST_MEAN_RELATIVE_ERROR:
        headline = f"the repeats are too wide: only a lasting deviation above {percent(seen.lasting)} could be seen"
        return _Answer(Status.INCONCLUSIVE, headline, "give repeats with the same seed and data as the reference")
    return _Answer(Status.PASS, f"aligned: the loss stays where {runs} runs of the reference stay")


def _leaves(failed: Finding, runs: int) -> str:
    observed, allowed = failed.observed or 0.0, failed.allowed or 0.0
    side = "above" if observed > 0 else "below"
    where = f"from iteration {failed.iteration} on" if failed.rule != "envelope" else f"at iteration {failed.iteration}"
    return f"leaves {runs} healthy runs {where}: {percent(abs(observed))} {side}, they stay in {percent(allowed)}"


def _status(situation: Situation) -> Status:
    return Status.FAIL if situation.outcome is Outcome.FAIL else Status.INCONCLUSIVE


def _as_finding(situation: Situation) -> Finding:
    return Finding(
        situation.name,
        situation.outcome,
        "loss",
        situation.evidence,
        situation.iteration,
        situation.observed,
        situation.allowed,
    )


def _is_seed_alone(situation: Situation, view: View) -> bool:
    """Whether settings contradict in nothing but the seed."""
    contradicted = {row.what for row in view.agreements if row.required and not row.agrees}
    return situation.name == "other settings" and contradicted == {"seed"}


def _same_data(one: Log, other: Log) -> bool:
    pair = join(one.series, other.series)
    return identical(pair) or measure_dependence(pair.reference, pair.candidate).data is Data.SAME


def _overlay(pair: Pair) -> Envelope:
    """The candidate on the reference, without a bound: one run doesn't say what healthy runs do."""
    with np.errstate(all="ignore"):
        deviation = relative_deviation(pair.reference, pair.candidate)
        if is_logarithmic(pair.reference, pair.candidate):
            deviation = from_logarithms(deviation)
    unknown = np.full(len(pair), np.nan)
    return Envelope("loss", "", pair.iterations, pair.reference, unknown, pair.candidate, deviation)


def _ordered(findings: Iterable[Finding], answer: _Answer) -> list[Finding]:
    """What failed first. Where the verdict is open, a bound that is exceeded is no violation: it may not apply."""
    if answer.status is not Status.FAIL:
        findings = [
            replace(one, status=Outcome.INCONCLUSIVE) if one.status is Outcome.FAIL else one for one in findings
        ]
    order = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO)
    return sorted(findings, key=lambda finding: order.index(finding.status))


def _legacy(pair: Pair, part: slice, numpy_spelling: bool) -> LegacyResult:
    return judge_legacy(pair.reference[part], pair.candidate[part], numpy_spelling=numpy_spelling)


def _extent(log: Log) -> str:
    return f"{log.iterations[0]} … {log.iterations[-1]}"
