"""The verdict on two bare logs: what they allow to be said, and what is missing to say more.

Comparability first, as everywhere: settings that contradict, data that differ and starts that differ mean that a
difference of the losses says nothing about the port. What is comparable fails where the candidate's loss is off by more
than the field's own tolerance, taken both ways and for sure. It seldom passes: one pair can't tell a fault from the
noise of a healthy run, unless the two agree to the last printed digit, or repeats of the reference say what healthy
runs do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from harness.pairs.deviation import measure_deviation, relative_deviation
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
from harness.pairs.joining import Pair, cut_slice, join
from harness.pairs.log import Log
from harness.pairs.printing import agree_as_printed, identical
from harness.pairs.repeats import judge_repeats
from harness.pairs.settings import compare_settings
from harness.rules.bounded import percent
from harness.rules.dependence import Data, Dependence, measure_dependence
from harness.rules.legacy import judge_legacy
from harness.values.baseline import MINIMUM_REPEATS
from harness.values.verdict import Agreement, Envelope, Finding, LegacyResult, Outcome, Status, Verdict

__all__ = ["judge_pair"]


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
        message = (
            f"no iteration is common: {_extent(reference)} on the reference's side, {_extent(candidate)} on the other"
        )
        nothing = Finding("join", Outcome.INCONCLUSIVE, "loss", message)
        return Verdict(name, Status.INCONCLUSIVE, message, (nothing, *read), agreements)
    findings, envelope = _look(pair, reference, candidate, repeats)
    status, reason = _decide(findings, agreements, pair, reference, candidate, repeats, copied)
    return Verdict(
        case=name,
        status=status,
        reason=reason,
        findings=(*_ordered(findings.values(), status), *read),
        agreements=agreements,
        legacy=_legacy(pair, part, numpy_spelling),
        envelopes={"loss": envelope},
    )


def _look(pair: Pair, reference: Log, candidate: Log, repeats: Sequence[Log]) -> tuple[dict[str, Finding], Envelope]:
    """Every question that the pair allows, by the rule's name; and the candidate on the reference."""
    findings = {"finiteness": find_finiteness(pair), "join": find_missing(pair)}
    start, findings["start"] = find_start(pair)
    dependence = measure_dependence(pair.reference, pair.candidate)
    findings["same data"] = find_data(pair, dependence)
    if dependence.data is not Data.SAME and start == "same" and (parting := _parting(pair, dependence)):
        findings["same data"] = parting
    if findings["finiteness"].status is Outcome.PASS and len(pair) >= 2:
        deviation = measure_deviation(pair.reference, pair.candidate)
        findings |= {"bias": find_bias(pair, deviation), "spread": find_spread(pair, deviation)}
    for side, log in (("reference", reference), ("candidate", candidate)):
        if spread := find_rank_spread(side, log.ranks):
            findings[f"rank spread of the {side}"] = spread
    if repeats:
        runs = [log.series for log in (reference, *repeats)]
        findings["envelope"], envelope = judge_repeats(runs, candidate.series)
        return findings, envelope
    return findings, _overlay(pair)


def _decide(
    findings: dict[str, Finding],
    agreements: Sequence[Agreement],
    pair: Pair,
    reference: Log,
    candidate: Log,
    repeats: Sequence[Log],
    copied: bool,
) -> tuple[Status, str]:
    """The status, and the one sentence why."""
    if findings["finiteness"].status is not Outcome.PASS:
        failed = findings["finiteness"].status is Outcome.FAIL
        return Status.FAIL if failed else Status.INCONCLUSIVE, findings["finiteness"].message
    if copied:
        return Status.INCONCLUSIVE, "the reference and the candidate are the same log: it says nothing about a port"
    if differs := _not_comparable(findings, agreements, pair, reference, repeats):
        return Status.INCONCLUSIVE, f"not comparable: {'; '.join(differs)}"
    if "envelope" in findings:
        return _decide_by_repeats(findings, 1 + len(repeats))
    return _decide_alone(findings, pair, reference, candidate)


def _decide_alone(findings: dict[str, Finding], pair: Pair, reference: Log, candidate: Log) -> tuple[Status, str]:
    """Without repeats of the reference."""
    if agree_as_printed(pair, reference, candidate) and findings["join"].status is not Outcome.INCONCLUSIVE:
        return Status.PASS, f"the losses agree to the last printed digit at all {len(pair)} iterations"
    if "bias" in findings and findings["bias"].status is Outcome.FAIL:
        seeds = [log.settings.get("seed") for log in (reference, candidate)]
        if findings["start"].status is Outcome.PASS or (seeds[0] is not None and seeds[0] == seeds[1]):
            return Status.FAIL, findings["bias"].message
    return Status.INCONCLUSIVE, _undecided(findings)


def _not_comparable(
    findings: dict[str, Finding], agreements: Sequence[Agreement], pair: Pair, reference: Log, repeats: Sequence[Log]
) -> list[str]:
    """Why a difference of the losses would say nothing about the port.

    Where repeats of the reference are themselves of other data and other seeds, the candidate's may be, too: then it is
    one more draw, and the envelope has the width that such draws have.
    """
    shuffled = bool(repeats) and not any(_same_data(reference, log) for log in repeats)
    reasons = []
    if findings["same data"].status is Outcome.INCONCLUSIVE and not shuffled and not identical(pair):
        reasons.append(findings["same data"].message)
    reasons += [
        f"{row.what} {row.reference} against {row.candidate}"
        for row in agreements
        if row.required and not row.agrees and not (shuffled and row.what == "seed")
    ]
    if findings["start"].status is Outcome.INCONCLUSIVE and not shuffled and not _same_seed(agreements):
        reasons.append(findings["start"].message)
    return reasons


def _decide_by_repeats(findings: dict[str, Finding], runs: int) -> tuple[Status, str]:
    envelope = findings["envelope"]
    seen = f"a deviation of {percent(envelope.smallest_detectable or 0.0)} would have been seen"
    if envelope.status is Outcome.FAIL:
        return Status.FAIL, f"{envelope.message} ({runs} runs of the reference)"
    if envelope.status is Outcome.PASS and runs >= MINIMUM_REPEATS:
        if findings["join"].status is Outcome.INCONCLUSIVE:
            return Status.INCONCLUSIVE, f"the candidate lacks iterations of the reference: {findings['join'].message}"
        return Status.PASS, f"the loss stays where {runs} runs of the reference stay; {seen}"
    more = MINIMUM_REPEATS - runs
    return Status.INCONCLUSIVE, f"{runs} runs of the reference are too few to pass: {seen}; {more} more decide"


def _undecided(findings: dict[str, Finding]) -> str:
    bias = findings.get("bias")
    missing = f"at least {MINIMUM_REPEATS - 1} more logs of the reference decide (--repeat)"
    if bias is None:
        return f"too few common iterations to decide; {missing}"
    seen = f"a constant deviation under {percent(bias.smallest_detectable or 0.0)} could not be seen in this pair"
    return f"{bias.message}; how far healthy runs part is not known, and {seen}: {missing}"


def _same_data(one: Log, other: Log) -> bool:
    pair = join(one.series, other.series)
    return identical(pair) or measure_dependence(pair.reference, pair.candidate).data is Data.SAME


def _same_seed(agreements: Sequence[Agreement]) -> bool:
    return any(row.what == "seed" and row.required and row.agrees for row in agreements)


def _parting(pair: Pair, dependence: Dependence) -> Finding | None:
    """Where two runs part that start more alike than chance allows; None where they stay within 1 %."""
    apart = np.abs(relative_deviation(pair.reference, pair.candidate))
    if np.all(apart <= 0.01):
        return None
    at = int(np.argmax(~(apart <= 0.01)))
    before, observed = (float(np.expm1(apart[one])) for one in (at - 1, at))
    message = (
        f"the two sides start alike and part at iteration {pair.iterations[at]}, where the losses are "
        f"{percent(observed)} apart after {percent(before)} at the one before; "
        f"the changes from iteration to iteration correlate at {dependence}"
    )
    return Finding("same data", Outcome.INCONCLUSIVE, "loss", message, int(pair.iterations[at]), observed)


def _overlay(pair: Pair) -> Envelope:
    """The candidate on the reference, without a bound: one run doesn't say what healthy runs do."""
    with np.errstate(all="ignore"):
        deviation = np.expm1(relative_deviation(pair.reference, pair.candidate))
    unknown = np.full(len(pair), np.nan)
    return Envelope("loss", "", pair.iterations, pair.reference, unknown, pair.candidate, deviation)


def _ordered(findings: Iterable[Finding], status: Status) -> list[Finding]:
    """What failed first. Where the verdict is open, a bound that is exceeded is no violation: it may not apply."""
    if status is not Status.FAIL:
        findings = [
            replace(one, status=Outcome.INCONCLUSIVE) if one.status is Outcome.FAIL else one for one in findings
        ]
    order = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO)
    return sorted(findings, key=lambda finding: order.index(finding.status))


def _legacy(pair: Pair, part: slice, numpy_spelling: bool) -> LegacyResult:
    return judge_legacy(pair.reference[part], pair.candidate[part], numpy_spelling=numpy_spelling)


def _extent(log: Log) -> str:
    return f"{log.iterations[0]} … {log.iterations[-1]}"
