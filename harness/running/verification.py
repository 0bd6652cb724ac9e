"""Verifying: a candidate's run of a case, judged against the case's baseline."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness.baseline_folders.baseline_places import shipped_folder, writing_folder
from harness.rules.budget import FALSE_ALARM_RATE
from harness.rules.comparability import accepted_differences
from harness.rules.gate import Gate
from harness.rules.rank_agreement import judge_ranks
from harness.running.asked_terms import better_references, terms_alone, terms_of
from harness.running.cases import is_own
from harness.running.decision import Decision
from harness.running.folder import ASKED, FORCED, ORDER, OUTPUT, RANKS, REPRODUCTIONS, shadow_file, shadow_files
from harness.running.follow_up_process import FollowUp, follow_up
from harness.running.order import Order
from harness.running.pool import Slot
from harness.running.watchdog import Run, Timeouts, execute, read_run
from harness.shadow.evidence.checks import ShadowRecord
from harness.shadow.evidence.reproduction import Reproduction
from harness.shadow.files.check_stream import read_shadow
from harness.shadow.files.reproduction_index import read_reproductions
from harness.shadow.judging.diagnosis.causes import diagnose
from harness.shadow.judging.operations import weigh_shadow
from harness.shadow.judging.shadow_verdict import (
    judge_alone,
    require_shadow,
    with_findings,
    with_hard_inputs,
    with_shadow,
)
from harness.store.atomic import read_bytes
from harness.store.baselines import Asking, load_baseline
from harness.store.rank_stream import read_ranks
from harness.store.stream import StreamRow
from harness.values.baseline import Baseline
from harness.values.case import Case
from harness.values.errors import AlignmentError, RunError, UsageError
from harness.values.precision import TIERS
from harness.values.result import Result
from harness.values.sampling import SAMPLING
from harness.values.terms import Terms
from harness.values.verdict import Status, Verdict

__all__ = ["judge_run", "verify", "verify_alone"]


def verify(
    case: Case,
    order: Order,
    *,
    baselines: Path,
    folder: Path,
    reference: str = "",
    tier: str = "",
    false_alarm_rate: float = FALSE_ALARM_RATE,
    gate_size: int = 1,
    early_stop: bool = True,
    settle: int = 0,
    same: tuple[str, ...] = (),
    timeouts: Timeouts | None = None,
    on_iteration: Callable[[StreamRow], None] | None = None,
    on_check: Callable[[int, int], None] | None = None,
    slot: Slot | None = None,
    wanted: FollowUp | None = None,
) -> Result:
    """Run a case as ordered and judge it. Never raises for what the run or the baseline did: that is an ERROR.

    Args:
        case: what to run.
        order: how and where to run it.
        baselines: root of the baselines.
        folder: where the run leaves its files.
        reference: which baseline; the case's own choice where empty, and without one the only one that is there.
        tier: the precision tier to demand; the case's own where empty.
        false_alarm_rate: chance that a healthy port fails: the case's share of its gate's.
        gate_size: how many cases share that of the gate.
        early_stop: whether to end the run as soon as the verdict can't change.
        settle: iterations that it then goes on, so that its curve is seen.
        same: names of settings in which it may differ from the baseline, each with what is beneath it.
        timeouts: how long the run may take.
        on_iteration: called with each iteration that the run streams.
        on_check: called within a shadowed iteration with its number and how many of its operations are checked.
        slot: the part of the machine that it has; all of it without one.
        wanted: how long it is followed up where calls came out wrong; not at all without it.
    """
    started = time.monotonic()
    baseline: Baseline | None = None
    run: Run | None = None
    remarks: tuple[str, ...] = ()
    try:
        asking = Asking(_word(case, order.options), _place_option(baselines), order.command)
        baseline = load_baseline(baselines, case.name, reference or case.reference, asking)
        remarks = better_references(baselines, case, baseline)
        planned = order.iterations or case.iterations
        again = partial(baseline.record_again, case=asking.case, place=_place(baselines))
        baseline.require_sampling(again, tier=tier or case.tier, iterations=planned)
        gate = _gate(baseline, planned, tier or case.tier, false_alarm_rate, again, same)
        early_stop &= order.nodes == 1  # the other machines would see theirs break off
        decides = Decision(gate, order, folder, settle) if early_stop else None
        run = execute(
            order,
            folder,
            timeouts=timeouts,
            on_iteration=on_iteration,
            on_check=on_check,
            decides=decides,
            slot=slot,
        )
        _follow_up(run, folder, wanted, slot)
        decided = decides is not None and decides.is_decided
        verdict = _judge(case, gate, run, decided=decided)
        verdict = _forced(_shadowed(verdict, run, order, folder), order, folder)
    except AlignmentError as error:
        verdict = _error(case, error)
    terms = terms_of(
        case,
        order,
        baseline=baseline,
        tier=tier or case.tier,
        false_alarm_rate=false_alarm_rate,
        gate_size=gate_size,
        remarks=remarks,
        accepted=accepted_differences(verdict.agreements, same),
    )
    return _result(verdict, order, run, baseline, folder, started, terms)


def verify_alone(
    case: Case,
    order: Order,
    *,
    folder: Path,
    timeouts: Timeouts | None = None,
    on_iteration: Callable[[StreamRow], None] | None = None,
    on_check: Callable[[int, int], None] | None = None,
    slot: Slot | None = None,
    wanted: FollowUp | None = None,
) -> Result:
    """Run a case as ordered and judge it by shadow ops, without a baseline. Never raises for what the run did.

    Args:
        case: what to run.
        order: how and where to run it; it names the iterations to shadow.
        folder: where the run leaves its files.
        timeouts: how long the run may take.
        on_iteration: called with each iteration that the run streams.
        on_check: called within a shadowed iteration with its number and how many of its operations are checked.
        slot: the part of the machine that it has; all of it without one.
        wanted: how long it is followed up where calls came out wrong; not at all without it.
    """
    started = time.monotonic()
    run: Run | None = None
    try:
        run = execute(order, folder, timeouts=timeouts, on_iteration=on_iteration, on_check=on_check, slot=slot)
        if run.error is not None or run.trace is None:
            verdict = _ended(case, run.error)
        else:
            _follow_up(run, folder, wanted, slot)
            evidence = diagnose(read_shadow(shadow_files(folder)), order.shadow_tier, _asked(folder))
            verdict = judge_alone(case.name, run.trace, evidence)
            verdict = with_findings(verdict, judge_ranks(read_ranks(folder / RANKS)))
            verdict = require_shadow(verdict, order.shadow, _shadowed_by(run, folder))
            verdict = _forced(verdict, order, folder)
    except AlignmentError as error:
        verdict = _error(case, error)
    return _result(verdict, order, run, None, folder, started, terms_alone(case, order))


def judge_run(
    folder: Path,
    *,
    baselines: Path,
    reference: str = "",
    tier: str = "",
    false_alarm_rate: float = FALSE_ALARM_RATE,
    gate_size: int = 1,
    same: tuple[str, ...] = (),
    command: str = "",
) -> Result:
    """Judge a run that a training watched in place has left.

    Args:
        folder: of the run.
        baselines: root of the baselines.
        reference: which of the case's; the only one that is there where empty.
        tier: the precision tier to demand; the loosest of the baseline where empty.
        false_alarm_rate: see ``verify``.
        gate_size: see ``verify``.
        same: see ``verify``.
        command: what judges it again.

    Raises:
        RunError: the folder holds no run.
        BaselineError: there is no baseline of its case, or it can't be read.
    """
    started = time.monotonic()
    run = read_run(folder)
    order = dataclasses.replace(Order.read(folder / ORDER), command=command)
    name = run.provenance.case if run.provenance is not None else order.config
    baseline = load_baseline(baselines, name, reference)
    loosest = sorted(baseline.tiers, key=TIERS.index)[-1]
    seed = run.provenance.seed if run.provenance is not None else 0
    case = Case(name, folder, order.iterations, seed=seed, tier=loosest, tiers=tuple(baseline.tiers), fp64_iterations=0)
    order = dataclasses.replace(order, shadow_tier=tier or case.tier)
    try:
        again = partial(baseline.record_again, case=name, place=str(baselines))
        if run.provenance is not None and run.provenance.sampling == SAMPLING:  # no recording helps an older run
            baseline.require_sampling(again, tier=tier or case.tier, iterations=order.iterations)
        gate = _gate(baseline, order.iterations, tier or case.tier, false_alarm_rate, again, same)
        verdict = _shadowed(_judge(case, gate, run, decided=False), run, order, folder)
    except AlignmentError as error:
        verdict = _error(case, error)
    terms = terms_of(
        case,
        order,
        baseline=baseline,
        tier=tier or case.tier,
        false_alarm_rate=false_alarm_rate,
        gate_size=gate_size,
        accepted=accepted_differences(verdict.agreements, same),
    )
    return _result(verdict, order, run, baseline, folder, started, terms)


def _shadowed(verdict: Verdict, run: Run, order: Order, folder: Path) -> Verdict:
    """The verdict with what shadow ops say, where some were ordered; without all of it nothing passes."""
    verdict = with_findings(verdict, judge_ranks(read_ranks(folder / RANKS)))
    if not order.shadow:
        return verdict
    files = shadow_files(folder)
    if not files:
        return require_shadow(verdict, order.shadow)
    evidence = diagnose(read_shadow(files), order.shadow_tier, _asked(folder))
    judged = with_shadow(verdict, evidence) if evidence.iterations else verdict
    return require_shadow(judged, order.shadow, _shadowed_by(run, folder))


def _follow_up(run: Run, folder: Path, wanted: FollowUp | None, slot: Slot | None) -> None:
    if wanted is not None and run.error is None:
        follow_up(folder, wanted, slot)


def _asked(folder: Path) -> ShadowRecord | None:
    """What the device was asked after the run; a diagnosis does without it where it can't be read."""
    try:
        return read_shadow([folder / ASKED]) if (folder / ASKED).exists() else None
    except AlignmentError:
        return None


def _shadowed_by(run: Run, folder: Path) -> list[tuple[int, ...]] | None:
    """Of each of several processes the iterations that it left checks of: together they hide that one is missing."""
    processes = run.provenance.world_size if run.provenance is not None else 1
    if processes == 1:
        return None
    files = [shadow_file(folder, rank) for rank in range(processes)]
    return [read_shadow([file]).iterations if file.exists() else () for file in files]


def _forced(verdict: Verdict, order: Order, folder: Path) -> Verdict:
    """The verdict with what hard inputs say, where they were ordered."""
    if not order.shadow_forced or verdict.status is Status.ERROR:
        return verdict
    file = folder / FORCED
    record = read_shadow([file] if file.exists() else [])
    return with_hard_inputs(verdict, weigh_shadow(record, order.shadow_tier))


def _result(
    verdict: Verdict,
    order: Order,
    run: Run | None,
    baseline: Baseline | None,
    folder: Path,
    started: float,
    terms: Terms,
) -> Result:
    return Result(
        terms=terms,
        verdict=verdict,
        trace=run.trace if run and run.trace is not None and len(run.trace) else None,
        candidate=run.provenance if run else None,
        baseline=baseline,
        command=order.command,
        seconds=time.monotonic() - started,
        output=run.output if run and verdict.status is Status.ERROR else "",
        log=_log(folder) if run and verdict.status is Status.ERROR else b"",
        asked_device=order.device,
        reproductions=_reproductions(folder),
    )


def _log(folder: Path) -> bytes:
    """What the run printed; the report keeps it, since the run's own folder may be gone when it is read."""
    try:
        return read_bytes(folder / OUTPUT, RunError)
    except RunError as error:
        return f"{error}\n".encode()


def _reproductions(folder: Path) -> tuple[Reproduction, ...]:
    """The calls that came out wrong; why not where they can't be read, since the verdict stands without them."""
    try:
        return read_reproductions(folder / REPRODUCTIONS)
    except AlignmentError as error:
        return (Reproduction(0, 0, "", "", "", "", note=f"{error.what}: {error.observed}"),)


def _judge(case: Case, gate: Gate, run: Run, *, decided: bool) -> Verdict:
    """What the gate says of a run.

    Args:
        case: that was run.
        gate: of its baseline.
        run: that ended.
        decided: whether its verdict was decided before: then a crash later on is told, and takes nothing back.
    """
    failed = run.error is not None
    if run.trace is None or run.provenance is None or (failed and not decided):
        return _ended(case, run.error)
    if not run.stopped and not failed:
        return gate.judge(run.trace, run.provenance)
    verdict = gate.so_far(run.trace, run.provenance)
    if run.error is not None:
        done = f"{len(run.trace)} of {run.trace.planned} iterations, when its verdict was decided"
        return dataclasses.replace(verdict, reason=f"{verdict.reason}; the run ended after {done}: {run.error.what}")
    if not len(run.trace):
        stopped = "stopped before it trained, as no iteration can change that (--no-early-stop trains on)"
        return dataclasses.replace(verdict, reason=f"{verdict.reason}; {stopped}")
    stopped = f"stopped after {len(run.trace)} of {run.trace.planned} iterations: the others can't change the verdict"
    return dataclasses.replace(verdict, reason=f"{verdict.reason}; {stopped}")


def _ended(case: Case, error: AlignmentError | None) -> Verdict:
    """A run that ended by an error; its output is named where the report has it."""
    if error is not None and error.hint and error.hint.endswith(f"/{OUTPUT}"):
        error.hint = f"read {OUTPUT}, beside the report"
    return _error(case, error)


def _error(case: Case, error: AlignmentError | None) -> Verdict:
    """An error as a verdict, in one sentence: what, where, observed, and what to run next."""
    if error is None:
        return Verdict(case.name, Status.ERROR, "the run left nothing to judge")
    parts = [error.what]
    parts += [f"{label} {getattr(error, label)}" for label in ("where", "observed") if getattr(error, label)]
    parts += [f"allowed {error.allowed}"] if error.allowed else []
    parts += [f"next: {error.hint}"] if error.hint else []
    return Verdict(case.name, Status.ERROR, "; ".join(parts))


def _word(case: Case, options: tuple[str, ...]) -> str:
    """How the command line names a case: one of our own by its name, a user's by the path of its config."""
    word = shlex.quote(case.address) if is_own(case) else case.name
    return f"{word} --cfg-options {shlex.join(options)}" if options else word


def _place(baselines: Path) -> str:
    """How the command line names the folder to record into; empty for the usual one.

    What comes along is never written to: recorded anew it lies in the usual folder, which is looked into first.
    """
    usual = {writing_folder().resolve(), shipped_folder().resolve()}
    return "" if baselines.resolve() in usual else shlex.quote(str(baselines))


def _place_option(baselines: Path) -> str:
    place = _place(baselines)
    return f"--baseline-dir {place}" if place else ""


def _gate(
    baseline: Baseline,
    planned: int,
    tier: str,
    false_alarm_rate: float,
    again: Callable[..., str],
    same: tuple[str, ...],
) -> Gate:
    """The gate of a baseline that holds the iterations and the tier that are asked for."""
    _require_iterations(planned, baseline, again)
    _require_tier(tier, baseline, again)
    return Gate(baseline, planned, tier, false_alarm_rate, same)


def _require_tier(tier: str, baseline: Baseline, again: Callable[..., str]) -> None:
    if tier not in baseline.tiers:
        raise UsageError(
            "the baseline holds no runs of the demanded precision tier",
            where=baseline.where,
            observed=tier,
            allowed=", ".join(baseline.tiers),
            hint=again(f"tier {tier}", tier=tier),
        )


def _require_iterations(planned: int, baseline: Baseline, again: Callable[..., str]) -> None:
    if not 1 <= planned <= baseline.iterations:
        raise UsageError(
            "the baseline doesn't hold as many iterations",
            where="--iterations",
            observed=planned,
            allowed=f"1 … {baseline.iterations}",
            hint=again("a longer one", iterations=planned),
        )
